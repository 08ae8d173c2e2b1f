import { createHash } from 'node:crypto';
import type { Dispatcher } from 'undici';
import type { FetchConfig } from '../../config/ranges-config.ts';
import { RangesError } from '../ranges-error.ts';
import { backoffMs, type RangesSurroundings, reasonOf } from '../surroundings.ts';

/** `unchanged`: it is what `etag` named. */
export type Fetched =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'text'; readonly text: string; readonly etag: string | undefined };

export interface FetchRequest {
  readonly url: string;
  /** Of the copy that is there. */
  readonly etag?: string | undefined;
  /** Why a body is to be fetched again: a cache may lag behind. Undefined: it is not. */
  readonly lags?: ((body: Buffer) => string | undefined) | undefined;
}

/** Several times what the largest of the known lists has. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_REDIRECTS = 3;

/** Fetches lists over verified TLS; tries again after what may pass. */
export class ListFetcher {
  readonly #config: FetchConfig;
  readonly #around: RangesSurroundings;
  #client: Promise<{ undici: typeof import('undici'); dispatcher: Dispatcher }> | undefined;

  constructor(config: FetchConfig, around: RangesSurroundings) {
    this.#config = config;
    this.#around = around;
  }

  /** @throws RangesError `ranges-unavailable` after the last try; AbortError */
  async fetch(wanted: FetchRequest, signal: AbortSignal): Promise<Fetched> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#follow(wanted, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (tries >= this.#config.retries || !mayPass(error)) {
          const message = `${wanted.url} cannot be fetched: ${reasonOf(error)}`;
          throw new RangesError('ranges-unavailable', message, { cause: error });
        }
        await this.#around.sleep(backoffMs(tries, this.#around.random), signal);
      }
    }
  }

  async close(): Promise<void> {
    await (await this.#client)?.dispatcher.close();
  }

  /** Only once something is fetched: most commands never do. */
  async #connect() {
    const { proxy, ca } = this.#config;
    const tls = ca === undefined ? {} : { ca };
    const undici = await import('undici');
    const dispatcher =
      proxy === undefined
        ? new undici.Agent({ connect: tls })
        : new undici.ProxyAgent({ uri: proxy, requestTls: tls, proxyTls: tls });
    return { undici, dispatcher };
  }

  async #follow(wanted: FetchRequest, signal: AbortSignal): Promise<Fetched> {
    let { url } = wanted;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const answer = await this.#ask(url, wanted.etag, signal);
      if (!('location' in answer)) return checked(answer, wanted);
      url = new URL(answer.location, url).href;
      if (!url.startsWith('https://')) throw new Refused(`it leads to ${url}, which is not https:`);
    }
    throw new Refused('it leads from one address to the next');
  }

  async #ask(url: string, etag: string | undefined, signal: AbortSignal): Promise<Answer> {
    const { timeoutMs } = this.#config;
    this.#client ??= this.#connect();
    const { undici, dispatcher } = await this.#client;
    const { statusCode, headers, body } = await undici.request(url, {
      dispatcher,
      headers: {
        'accept-encoding': 'identity',
        'user-agent': 'sekisho',
        ...(etag !== undefined && { 'if-none-match': etag }),
      },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (statusCode === 200) {
      checkFraming(headers);
      return { text: await readBody(body), headers };
    }
    await body.dump({ limit: 65_536, signal });
    if (statusCode === 304 && etag !== undefined) return { unchanged: true };
    const { location } = headers;
    if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') return { location };
    throw statusCode >= 500 || statusCode === 429
      ? new Error(`it answers ${statusCode}`)
      : new Refused(`it answers ${statusCode}`);
  }
}

type Answer =
  | { readonly location: string }
  | { readonly unchanged: true }
  | { readonly text: Buffer; readonly headers: Headers };
type Headers = Dispatcher.ResponseData['headers'];

/** What another try would not change. */
class Refused extends Error {}

function mayPass(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  // A certificate that does not verify will not do so in a second.
  return !(error instanceof Refused) && !/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code);
}

/** A body that ends when the connection does may have been cut off, and nobody would know. */
function checkFraming(headers: Headers): void {
  if (headers['content-encoding'] !== undefined) throw new Refused('it answers in a coding');
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    throw new Refused('it does not say how long its answer is');
  }
}

async function readBody(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += (chunk as Buffer).length;
    if (length > MAX_BYTES) throw new Refused('its answer is larger than 64MiB');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function checked(answer: Exclude<Answer, { location: string }>, { lags }: FetchRequest): Fetched {
  if ('unchanged' in answer) return { kind: 'unchanged' };
  const { text, headers } = answer;
  const lag = lags?.(text);
  if (lag !== undefined) throw new Error(lag);
  const digest = createHash('md5').update(text).digest();
  const told = headers['content-md5'];
  if (told !== undefined && digest.toString('base64') !== told) {
    throw new Error('its md5 is not that of Content-MD5');
  }
  const { etag } = headers;
  return { kind: 'text', text: decode(text), etag: typeof etag === 'string' ? etag : undefined };
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Refused('it is not UTF-8 text', { cause: error });
  }
}
