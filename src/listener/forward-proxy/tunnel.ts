import type {
  Connection,
  Conversation,
  Evidence,
  Grant,
  Outcome,
  TunnelEnd,
} from '../../core/conversation.ts';
import { deny } from '../../core/decision.ts';
import { type Destination, sameHost } from '../../core/destination.ts';
import { Hostname } from '../../core/hostname.ts';
import { Ip } from '../../core/ip.ts';
import type { Reason, Trouble } from '../../core/reasons.ts';
import { Refusal } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import {
  ACCESS_DENIED_ALERT,
  type ClientHello,
  ClientHelloReader,
  NotTls,
} from '../../wire/client-hello.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { type Client, headEvidence, type ProxyContext, ProxyConversation } from './client.ts';

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');
const NOTHING = Buffer.alloc(0);

/** A ClientHello that may go on, and what the client sent up to its end. */
interface Checked {
  readonly hello: ClientHello;
  readonly bytes: Buffer;
}

/** What it was when no ClientHello came. */
const HELLO_TROUBLES = {
  reset: 'client-reset',
  abandoned: 'upstream-reset',
  idle: 'idle-timeout',
  'too-slow': 'idle-timeout',
} as const satisfies Record<ChannelLost['code'], Trouble>;

/**
 * CONNECT: decide, record, dial, 200, read the ClientHello, check it, then pass bytes.
 *
 *     client --CONNECT api.example.com:443--> gateway
 *     client <--200-------------------------- gateway --TCP--> address
 *     client --ClientHello (SNI)------------> gateway            SNI must be the CONNECT host
 *     client ================ bytes ========= gateway ========== address
 */
export class Tunnel extends ProxyConversation implements Conversation<Channel> {
  readonly action = 'CONNECT';
  readonly request = undefined;
  readonly destination: Destination;
  readonly #evidence: Evidence;
  readonly #serveInside: (within: Destination, evidence: Evidence) => Promise<void>;
  #grant: Grant<Channel> | undefined;
  #upstream: Connection<Channel> | undefined;

  /** @param serveInside reads what follows as plain HTTP requests for one destination: CONNECT to port 80 */
  constructor(
    client: Client,
    proxy: ProxyContext,
    head: RequestHead,
    destination: Destination,
    serveInside: (within: Destination, evidence: Evidence) => Promise<void>,
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
    if (!this.#plainInside) this.#upstream = await grant.dial(this.trail);
  }

  /** No function of it waits while bytes pass: a tunnel may last for days, and each that did would keep what it has seen. */
  async relay(): Promise<Outcome> {
    this.channel.write(ESTABLISHED);
    this.status = 200;
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (upstream === undefined) {
      await this.#serveInside(this.destination, this.#evidence);
      return { status: 200, error: null, bytesUp: 0, bytesDown: 0 };
    }
    if (this.#grant?.decision.settings?.tls === 'off') return this.#pass(upstream, undefined);
    const checked = await this.#checkHello(upstream);
    return 'status' in checked ? checked : this.#pass(upstream, checked);
  }

  /** Several clients send CONNECT to port 80 for `http://`; it is read, so that paths and methods are decided on. */
  get #plainInside(): boolean {
    return this.destination.port === 80 && this.#grant?.decision.settings?.tls !== 'off';
  }

  /** What the client may go on with, or how the tunnel ended. */
  async #checkHello(upstream: Connection<Channel>): Promise<Checked | Outcome> {
    const reader = new ClientHelloReader();
    this.#watch(upstream.stream);
    try {
      const hello = await this.#takeHello(reader);
      if (hello === undefined) return this.#end(upstream, { error: 'client-reset' });
      if (!namesHost(hello, this.destination)) return this.#deny(upstream, 'sni-mismatch', hello);
      return { hello, bytes: reader.bytes };
    } catch (error) {
      if (error instanceof NotTls) return this.#deny(upstream, 'protocol-mismatch', undefined);
      if (!(error instanceof ChannelLost)) throw error;
      return this.#end(upstream, { error: HELLO_TROUBLES[error.code] });
    } finally {
      upstream.stream.abandon();
    }
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

  #takeHello(reader: ClientHelloReader): Promise<ClientHello | undefined> {
    const { headMs } = this.proxy.config.timeouts;
    return this.channel.take((chunk) => reader.push(chunk), headMs);
  }

  async #deny(
    upstream: Connection<Channel>,
    reason: Reason,
    hello: ClientHello | undefined,
  ): Promise<Outcome> {
    // Before it is on record, which may fail: nothing of this tunnel goes out any more.
    upstream.stream.destroy();
    await this.#grant?.record(deny('hello', reason));
    if (hello !== undefined) this.channel.write(ACCESS_DENIED_ALERT);
    return this.#end(upstream, { error: null }, hello);
  }

  /** Ends a tunnel through which nothing has passed. */
  #end(upstream: Connection<Channel>, end: Pick<TunnelEnd, 'error'>, hello?: ClientHello): Outcome {
    upstream.stream.destroy();
    return outcome({ ...end, bytesUp: 0, bytesDown: 0 }, hello);
  }

  #pass(upstream: Connection<Channel>, checked: Checked | undefined): Promise<Outcome> {
    const grant = this.#grant as Grant<Channel>;
    const hello = checked?.hello;
    const end = grant.tunnel(this.channel, upstream, checked?.bytes ?? NOTHING);
    return end.then((how) => outcome(how, hello));
  }
}

function outcome(end: TunnelEnd, hello: ClientHello | undefined): Outcome {
  return hello === undefined ? { status: 200, ...end } : { status: 200, ...end, tls: hello };
}

/** Another name inside than outside is how a tunnel to an allowed host reaches its neighbour on a shared address. */
function namesHost(hello: ClientHello, destination: Destination): boolean {
  if (destination.host instanceof Ip) return hello.sni === null;
  if (hello.sni === null) return false;
  try {
    return sameHost(Hostname.parse(hello.sni), destination.host);
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
