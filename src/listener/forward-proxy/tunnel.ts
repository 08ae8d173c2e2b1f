import type { SecureContext } from 'node:tls';
import type {
  Connection,
  Conversation,
  Evidence,
  Grant,
  Outcome,
  TunnelEnd,
} from '../../core/conversation.ts';
import { deny } from '../../core/decision.ts';
import type { Destination } from '../../core/destination.ts';
import { Channel, type ChannelLost } from '../../stream/channel.ts';
import { ACCESS_DENIED_ALERT, type ClientHello } from '../../wire/client-hello.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { type Client, headEvidence, type ProxyContext, ProxyConversation } from './client.ts';
import { Drain } from './drain.ts';
import { type CheckedHello, takeHello } from './hello.ts';
import type { Inside, ServeInside } from './inside.ts';
import { openTls } from './opened-tls.ts';

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');
const NOTHING = Buffer.alloc(0);
const NO_BYTES = { bytesUp: 0, bytesDown: 0 } as const;
/** Some clients look at the certificate only once the handshake is done. */
const LEFT = 'the client closed behind the handshake, without a request';

/**
 * CONNECT: decide, record, dial, 200, read the ClientHello, check it, then pass bytes.
 *
 *     client --CONNECT api.example.com:443--> gateway
 *     client <--200-------------------------- gateway --TCP--> address
 *     client --ClientHello (SNI)------------> gateway            SNI must be the CONNECT host
 *     client ================ bytes ========= gateway ========== address
 *
 * Where the rule says `intercept`, nothing is dialled: the gateway answers the TLS itself, and the requests inside are
 * exchanges of their own. So are those of CONNECT to port 80, which come in clear.
 */
export class Tunnel extends ProxyConversation implements Conversation<Channel> {
  readonly action = 'CONNECT';
  readonly request = undefined;
  readonly destination: Destination;
  readonly #evidence: Evidence;
  readonly #serveInside: ServeInside;
  #grant: Grant<Channel> | undefined;
  #upstream: Connection<Channel> | undefined;

  constructor(
    client: Client,
    proxy: ProxyContext,
    head: RequestHead,
    destination: Destination,
    serveInside: ServeInside,
  ) {
    super(client, proxy, head);
    this.destination = destination;
    this.#evidence = headEvidence(client, head);
    this.#serveInside = serveInside;
  }

  evidence(): Evidence {
    return this.#evidence;
  }

  async open(grant: Grant<Channel>): Promise<void> {
    this.#grant = grant;
    if (!this.#plainInside && grant.intercept === undefined)
      this.#upstream = await grant.dial(this.trail);
  }

  /** No function of it waits while bytes pass: a tunnel may last for days, and each that did would keep what it has seen. */
  async relay(): Promise<Outcome> {
    this.channel.write(ESTABLISHED);
    this.status = 200;
    const upstream = this.#upstream as Connection<Channel>;
    this.#upstream = undefined;
    const contextOf = this.#grant?.intercept;
    if (this.#plainInside) return this.#servePlain();
    if (contextOf !== undefined) return this.#intercept(contextOf);
    if (this.#grant?.decision.settings?.tls === 'off') return this.#pass(upstream, undefined);
    const checked = await this.#checkHello(upstream);
    return 'status' in checked ? checked : this.#pass(upstream, checked);
  }

  async #servePlain(): Promise<Outcome> {
    await this.#serve(this.destination, this.channel);
    return outcome({ error: null, ...NO_BYTES }, undefined);
  }

  /** Each request inside is an exchange of its own; a policy that would not let them be read ends the tunnel behind the last one. */
  async #serve(destination: Destination, carrier: Inside['carrier']): ReturnType<ServeInside> {
    const drain = new Drain();
    const closed = this.#grant?.opened(() => drain.begin());
    try {
      const evidence = this.#evidence;
      return await this.#serveInside({ destination, evidence, carrier, drain });
    } finally {
      closed?.();
    }
  }

  async #intercept(contextOf: () => Promise<SecureContext>): Promise<Outcome> {
    const checked = await this.#checkHello(undefined);
    if ('status' in checked) return checked;
    const { hello, bytes } = checked;
    const failed = (detail: string) =>
      outcome({ error: 'client-tls-failed', detail, ...NO_BYTES }, hello);
    const context = await contextOf();
    const opened = await openTls(this.channel, bytes, context, this.proxy.config.timeouts);
    if (typeof opened === 'string') return failed(opened);
    const { host, port } = this.destination;
    const destination = { scheme: 'https', host, port } as const;
    const rejection = await this.#serve(destination, opened);
    if (opened instanceof Channel) opened.end();
    if (rejection === 'closed-before-a-byte') return failed(LEFT);
    return outcome({ error: null, ...NO_BYTES }, hello);
  }

  /** Several clients send CONNECT to port 80 for `http://`; it is read, so that paths and methods are decided on. */
  get #plainInside(): boolean {
    return this.destination.port === 80 && this.#grant?.decision.settings?.tls !== 'off';
  }

  /** What the client may go on with, or how the tunnel ended. */
  async #checkHello(upstream: Connection<Channel> | undefined): Promise<CheckedHello | Outcome> {
    if (upstream !== undefined) this.#watch(upstream.stream);
    const { headMs } = this.proxy.config.timeouts;
    const taken = await takeHello(this.channel, this.destination, headMs);
    upstream?.stream.abandon();
    if ('bytes' in taken) return taken;
    // Before it is on record, which may fail: nothing of this tunnel goes out any more.
    upstream?.stream.destroy();
    if ('error' in taken) return outcome({ ...taken, ...NO_BYTES }, undefined);
    await this.#grant?.record(deny('hello', taken.reason));
    if (taken.hello !== undefined) this.channel.write(ACCESS_DENIED_ALERT);
    return outcome({ error: null, ...NO_BYTES }, taken.hello);
  }

  /** Nobody need wait for a hello that has nowhere to go. What the upstream says first is kept for the tunnel. */
  #watch(upstream: Channel): void {
    const spoke = upstream.take((chunk) => {
      upstream.unread(chunk);
      return true;
    });
    const leave = () => this.channel.abandon();
    spoke.then(
      (said) => said ?? leave(),
      (error: ChannelLost) => error.code !== 'abandoned' && leave(),
    );
  }

  #pass(upstream: Connection<Channel>, checked: CheckedHello | undefined): Promise<Outcome> {
    const grant = this.#grant as Grant<Channel>;
    const hello = checked?.hello;
    const end = grant.tunnel(this.channel, upstream, checked?.bytes ?? NOTHING);
    return end.then((how) => outcome(how, hello));
  }
}

function outcome(end: TunnelEnd & { detail?: string }, hello: ClientHello | undefined): Outcome {
  return hello === undefined ? { status: 200, ...end } : { status: 200, ...end, tls: hello };
}
