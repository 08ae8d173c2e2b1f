import type { Connection, Evidence, Grant, ReadableRequest } from '../../core/conversation.ts';
import type { Destination } from '../../core/destination.ts';
import type { BodyChange } from '../../core/injection.ts';
import { type Refusal, UpstreamError } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { takeHead } from '../../stream/heads.ts';
import type { Fields } from '../../wire/http1/fields.ts';
import { keepsAlive } from '../../wire/http1/framing.ts';
import type { FramingError } from '../../wire/http1/framing-error.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { parseResponseHead, type ResponseHead } from '../../wire/http1/response-head.ts';
import { LAST_CHUNK } from '../../wire/http1/writer.ts';
import { type Client, type ProxyContext, ProxyConversation } from './client.ts';
import { dropsFrom, requestHead } from './forwarded-head.ts';
import { Injection } from './injection.ts';
import { RequestBody, type Sender } from './request-body.ts';
import type { Target } from './target.ts';
import { lastChunkWith } from './trailers.ts';
import { asksForWebSocket, namesWebSocket } from './upgrade.ts';

/** Interim responses that one request may bring (RFC 9110 15.2): enough for any honest server. */
const MAX_INTERIM = 16;
const RESPONSE_FIELDS = 256;

// RFC 9110 9.2.2: sending these twice has the effect of sending them once.
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'TRACE',
]);

/** The way out of a request: written anew, sent, sent once more where that is safe, until its final response begins. */
export abstract class OutgoingRequest extends ProxyConversation implements Sender {
  readonly action: string;
  readonly destination: Destination;
  readonly request: ReadableRequest | undefined;
  protected override readonly head: RequestHead;
  protected readonly body: RequestBody;
  protected grant: Grant<Channel> | undefined;
  protected upstream: Connection<Channel> | undefined;
  protected injection: Injection | undefined;
  /** What broke first on the client's side: it explains why the upstream was then given up. */
  protected clientFault: FramingError | ChannelLost | Refusal | undefined;
  readonly #target: Target;
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
    this.action = head.method;
    this.destination = target.destination;
    this.request = target.request;
    this.body = new RequestBody(client.channel, head);
    this.#target = target;
    this.#evidence = evidence;
    // A refused request with a body: what follows could be body or request, so the connection ends.
    this.keepAlive = this.body.done && keepsAlive(head) && !proxy.leaving();
  }

  /** Passes a head on to the client that the final one follows. */
  protected abstract passInterim(head: ResponseHead): void;

  evidence(): Evidence {
    return this.#evidence;
  }

  async open(grant: Grant<Channel>): Promise<void> {
    this.grant = grant;
    const { credential } = grant;
    if (credential !== undefined)
      this.injection = await Injection.begin(credential, grant, {
        head: this.head,
        target: this.#target,
        body: this.body,
        channel: this.channel,
        idleMs: this.proxy.config.timeouts.idleMs,
      });
    // A WebSocket is a tunnel to its server (RFC 6455 4.1), whatever stands between.
    this.upstream = asksForWebSocket(this.head)
      ? await grant.dial(this.trail)
      : await grant.borrow(this.trail, 'kept or new', this.protocol);
  }

  /** The client's side is beyond help: the upstream sees an incomplete request and its connection closed. */
  giveUp(fault: FramingError | ChannelLost | Refusal): void {
    this.clientFault ??= fault;
    this.upstream?.stream.destroy();
  }

  get change(): BodyChange | undefined {
    return this.injection?.changes.body;
  }

  lastChunk(trailers: Fields | undefined): Buffer {
    if (trailers === undefined) return LAST_CHUNK;
    const { injection } = this;
    const drops = dropsFrom(this.head, this.grant as Grant<Channel>);
    return lastChunkWith(trailers, (name) => drops(name) || injection?.drops(name) === true);
  }

  /** Sends the request. @returns the head of its final response */
  protected async sendAndAwait(): Promise<ResponseHead> {
    const response = await this.#sendOnce();
    if (response.status !== 401 || this.injection?.refused() !== true) return response;
    if (!this.#isRepeatable() || !(await this.injection.renew())) return response;
    // The secret may have been replaced since it was read: the answer to the old one is nobody's.
    await this.#askElsewhere();
    return this.#sendOnce();
  }

  async #sendOnce(): Promise<ResponseHead> {
    this.#send();
    const reader = new HeadReader(parseResponseHead, {
      bytes: this.proxy.config.limits.headBytes,
      fields: RESPONSE_FIELDS,
    });
    try {
      return await this.#finalHead(reader);
    } catch (error) {
      if (!(error instanceof ChannelLost) || reader.started || !this.#mayRepeat(error)) throw error;
      // A kept connection may have died at any time; a new one has not been tried yet.
      await this.#borrow('new');
      this.#send();
      return this.#finalHead(reader);
    }
  }

  /** What is left of an answer keeps its connection, and of HTTP/2 its stream alone. */
  async #askElsewhere(): Promise<void> {
    const { stream, giveBack } = this.upstream as Connection<Channel>;
    if (giveBack === undefined) {
      stream.destroy();
      return this.#borrow('new');
    }
    giveBack();
    return this.#borrow('kept or new');
  }

  async #borrow(which: 'kept or new' | 'new'): Promise<void> {
    this.upstream = await (this.grant as Grant<Channel>).borrow(this.trail, which, this.protocol);
    if (this.clientFault !== undefined) throw this.clientFault;
  }

  #mayRepeat({ isUnprocessed, needsHttp1 }: ChannelLost): boolean {
    if (this.clientFault !== undefined) return false;
    // RFC 9110 9.2.2, RFC 9113 8.7
    if (isUnprocessed) return this.body.isKept;
    return (needsHttp1 || this.upstream?.reused === true) && this.#isRepeatable();
  }

  #isRepeatable(): boolean {
    return this.body.isKept && IDEMPOTENT.has(this.head.method);
  }

  #send(): void {
    const { stream, parent } = this.upstream as Connection<Channel>;
    const { identityHeaders, trace } = this.grant as Grant<Channel>;
    const { via } = this.proxy;
    const { protocol, injection } = this;
    const absolute = parent?.absolute;
    const onward = { identityHeaders, trace, via, protocol, absolute, injection };
    stream.write(requestHead(this.head, this.#target, this.body.framing, onward));
    this.body.sendTo(stream, this);
  }

  /** Passes interim responses on and gives the final one. */
  async #finalHead(reader: HeadReader<ResponseHead>): Promise<ResponseHead> {
    const { stream, parent } = this.upstream as Connection<Channel>;
    for (let interim = 0; interim <= MAX_INTERIM; interim++) {
      const head = await takeHead(stream, reader, this.proxy.config.timeouts.headMs);
      if (head === undefined) throw new ChannelLost('reset');
      if (head.status === 407 && parent?.absolute !== undefined) throw this.#refusedByParent();
      if (head.status >= 200) return head;
      if (head.status === 101) return this.#vetUpgrade(head);
      if (this.head.minor === 1) this.passInterim(head);
    }
    throw new UpstreamError('upstream-reset', `more than ${MAX_INTERIM} interim responses`);
  }

  /** Passed on, a 407 would ask the client for a credential that is the gateway's. */
  #refusedByParent(): UpstreamError {
    const { via, parent } = (this.grant as Grant<Channel>).decision.settings ?? {};
    const message = `exit ${via}: the parent proxy ${parent?.name} answers 407`;
    return new UpstreamError('connect-failed', message);
  }

  #vetUpgrade(head: ResponseHead): ResponseHead {
    if (!asksForWebSocket(this.head) || !namesWebSocket(head.fields) || !this.body.done) {
      throw new UpstreamError('upstream-reset', 'an upgrade that nobody asked for');
    }
    this.injection?.vetUpgrade(head);
    return head;
  }
}
