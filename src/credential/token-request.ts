import { request } from 'node:https';
import { getCACertificates } from 'node:tls';
import { type FailureKind, SecretFailure } from '../secret/failure.ts';

const MAX_BYTES = 64 * 1024;

/** A request for a token, to whoever issues it. */
export interface TokenRequest {
  /** https. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The only CAs that vouch for the issuer, in PEM; undefined: the system's and those that Node brings. */
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * Asks an issuer for a token, over verified TLS, following no redirect.
 *
 * @returns its answer, a map @throws SecretFailure, which quotes nothing of the answer
 */
export async function requestToken(
  asked: TokenRequest,
): Promise<Readonly<Record<string, unknown>>> {
  const { status, text } = await post(asked).catch((error: Error) => {
    if (error instanceof SecretFailure) throw error;
    throw new SecretFailure('unavailable', `${asked.url}: ${error.message}`, { cause: error });
  });
  if (status !== 200 && status !== 201) {
    throw new SecretFailure(kindOf(status), `${asked.url} answers ${status}`);
  }
  const answer = parse(text);
  if (typeof answer === 'object' && answer !== null) return answer as Record<string, unknown>;
  throw new SecretFailure('invalid', `${asked.url} answers something else than JSON`);
}

function post({ url, headers, body, ca, signal }: TokenRequest) {
  const bytes = Buffer.from(body);
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: { ...headers, 'content-length': bytes.length, 'user-agent': 'sekisho' },
      ca: ca ?? commonCas(),
      // Said outright: NODE_TLS_REJECT_UNAUTHORIZED must not undo it.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2' as const,
      agent: false as const,
      signal,
    };
    const sent = request(url, options, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length <= MAX_BYTES) return;
        reject(new SecretFailure('invalid', `${url}: the answer is too long`));
        response.destroy();
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
      });
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(bytes);
  });
}

let cas: readonly string[] | undefined;

function commonCas(): string[] {
  cas ??= [...getCACertificates('default'), ...getCACertificates('system')];
  return [...cas];
}

function kindOf(status: number): FailureKind {
  if (status === 429) return 'throttled';
  return status >= 400 && status < 500 ? 'denied' : 'unavailable';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message would quote a token.
    return undefined;
  }
}
