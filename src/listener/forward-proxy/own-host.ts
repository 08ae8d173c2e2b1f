import type { Evidence } from '../../core/conversation.ts';
import { DEFAULT_PORTS, type Destination, hostText } from '../../core/destination.ts';
import { keepsAlive, requestFraming } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { type Client, type OwnPage, type ProxyContext, ProxyConversation } from './client.ts';
import type { Target } from './target.ts';

const OWN_HOST = 'sekisho.internal';

/** `http://sekisho.internal/` through the proxy is the gateway itself: it is never looked up and never sent upstream. */
export function isOwnHost(destination: Destination): boolean {
  return (
    destination.scheme === 'http' &&
    destination.port === DEFAULT_PORTS.http &&
    hostText(destination.host) === OWN_HOST
  );
}

/** A question to the gateway about the asker's own exchanges: not an exchange itself. */
export class OwnHostRequest extends ProxyConversation {
  protected override readonly head: RequestHead;
  readonly #path: string;
  readonly #evidence: Evidence;

  /** @throws FramingError when the head does not tell plainly how long its body is */
  constructor(
    client: Client,
    proxy: ProxyContext,
    head: RequestHead,
    target: Target,
    evidence: Evidence,
  ) {
    super(client, proxy, head);
    this.head = head;
    this.#path = target.request?.path ?? '/';
    this.#evidence = evidence;
    this.keepAlive = requestFraming(head).kind === 'none' && keepsAlive(head);
  }

  async answerPage(): Promise<void> {
    const page = await this.#page();
    const body = `${JSON.stringify(page.body, null, 2)}\n`;
    const lines = [
      `HTTP/1.1 ${page.status} ${page.status === 200 ? 'OK' : 'Refused'}`,
      'Content-Type: application/json',
      'Cache-Control: no-store',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Connection: ${this.keepAlive ? 'keep-alive' : 'close'}`,
    ];
    const payload = this.head.method === 'HEAD' ? '' : body;
    this.channel.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${payload}`));
  }

  async #page(): Promise<OwnPage> {
    const { method } = this.head;
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, body: { error: 'only GET is answered here' } };
    }
    const pages = 'the pages are /v1/whoami and /v1/why/ID';
    return (
      (await this.proxy.ownPage(this.#path, this.#evidence)) ?? {
        status: 404,
        body: { error: pages },
      }
    );
  }
}
