import type { Conversation, Evidence, Outcome, ReadableRequest } from '../../core/conversation.ts';
import { DEFAULT_PORTS, type Destination, hostText } from '../../core/destination.ts';
import { Refusal } from '../../core/refusal.ts';
import type { Channel } from '../../stream/channel.ts';
import { keepsAlive, requestFraming } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { type Client, type OwnPage, type ProxyContext, ProxyConversation } from './client.ts';
import type { Target } from './target.ts';
import { Tunnel } from './tunnel.ts';

const OWN_HOST = 'sekisho.internal';

/** `http://sekisho.internal/` through the proxy is the gateway itself: it is never looked up and never sent upstream. */
export function isOwnHost({ host, port }: Destination): boolean {
  return port === DEFAULT_PORTS.http && hostText(host) === OWN_HOST;
}

/** CONNECT to the gateway itself, which some clients send for `http://`: nothing is decided, the questions are inside. */
export class OwnHostTunnel extends Tunnel {
  async answerOwn(): Promise<void> {
    await this.relay();
  }
}

/**
 * A question to the gateway about the asker's own exchanges. It is no exchange itself, unless its identity is invalid:
 * then it is refused as one, so that who guesses credentials here is on record like everywhere else.
 */
export class OwnHostRequest extends ProxyConversation implements Conversation<Channel> {
  readonly action: string;
  readonly destination: Destination;
  readonly request: ReadableRequest | undefined;
  protected override readonly head: RequestHead;
  readonly #evidence: Evidence;

  /** @throws FramingError when the head does not tell plainly how long its body is */
  constructor(
    client: Client,
    proxy: ProxyContext,
    head: RequestHead,
    { destination, request }: Target,
    evidence: Evidence,
  ) {
    super(client, proxy, head);
    this.action = head.method;
    this.destination = destination;
    this.request = request;
    this.head = head;
    this.#evidence = evidence;
    this.keepAlive = requestFraming(head).kind === 'none' && keepsAlive(head) && !proxy.leaving();
  }

  evidence(): Evidence {
    return this.#evidence;
  }

  /** There is nobody behind it. */
  async open(): Promise<never> {
    throw new Refusal('identity-invalid', 'the gateway itself cannot be passed through');
  }

  relay(): Promise<Outcome> {
    return this.open();
  }

  async answerOwn(): Promise<void> {
    let page: OwnPage;
    try {
      page = await this.#page();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return this.proxy.run(this);
    }
    this.#write(page);
  }

  #write(page: OwnPage): void {
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

  /** @throws Refusal `identity-invalid` */
  async #page(): Promise<OwnPage> {
    const { method } = this.head;
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, body: { error: 'only GET is answered here' } };
    }
    const pages = 'the pages are /v1/whoami and /v1/why/ID';
    return (
      (await this.proxy.ownPage(this.request?.path ?? '/', this.#evidence)) ?? {
        status: 404,
        body: { error: pages },
      }
    );
  }
}
