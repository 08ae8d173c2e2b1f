import type {
  Connection,
  Conversation,
  Evidence,
  Grant,
  Outcome,
  ReadableRequest,
} from '../../core/conversation.ts';
import { deny } from '../../core/decision.ts';
import type { Destination } from '../../core/destination.ts';
import type { GrantedCredential } from '../../core/injection.ts';
import type { Trouble } from '../../core/reasons.ts';
import { type Refusal, UpstreamError } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { takeHead } from '../../stream/heads.ts';
import { type Framing, keepsAlive } from '../../wire/http1/framing.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { parseResponseHead, type ResponseHead } from '../../wire/http1/response-head.ts';
import { type Client, type ProxyContext, ProxyConversation } from './client.ts';
import {
  asksForWebSocket,
  isBoundToUser,
  namesWebSocket,
  requestHead,
  responseHead,
} from './forwarded-head.ts';
import { Injection } from './injection.ts';
import type { OwnAnswer } from './refusal-response.ts';
import { RequestBody } from './request-body.ts';
import { ResponseBody } from './response-body.ts';
import type { Target } from './target.ts';

/** Interim responses that one request may bring (RFC 9110 15.2): enough for any honest server. */
const MAX_INTERIM = 16;
const RESPONSE_FIELDS = 256;
const NOTHING = Buffer.alloc(0);

// RFC 9110 9.2.2: sending these twice has the effect of sending them once.
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'TRACE',
]);

/** One plain HTTP request: its head is written anew, bodies stream both ways, and both connections may serve again. */
export class ForwardedRequest extends ProxyConversation implements Conversation<Channel> {
  readonly action: string;
  readonly destination: Destination;
  readonly request: ReadableRequest | undefined;
  protected override readonly head: RequestHead;
  readonly #target: Target;
  readonly #evidence: Evidence;
  readonly #body: RequestBody;
  #grant: Grant<Channel> | undefined;
  #upstream: Connection<Channel> | undefined;
  #injection: Injection | undefined;
  /** What broke first on the client's side: it explains why the upstream was then given up. */
  #clientFault: FramingError | ChannelLost | Refusal | undefined;
  /** Of the response that has begun. */
  #answer: ResponseBody | undefined;

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
    this.#target = target;
    this.#evidence = evidence;
    this.#body = new RequestBody(client.channel, head);
    // A refused request with a body: what follows could be body or request, so the connection ends.
    this.keepAlive = this.#body.done && keepsAlive(head) && !proxy.leaving();
  }

  evidence(): Evidence {
    return this.#evidence;
  }

  async open(grant: Grant<Channel>): Promise<void> {
    this.#grant = grant;
    if (grant.credential !== undefined)
      this.#injection = await this.#inject(grant.credential, grant);
    // A WebSocket is a tunnel to its server (RFC 6455 4.1), whatever stands between.
    this.#upstream = asksForWebSocket(this.head)
      ? await grant.dial(this.trail)
      : await grant.borrow(this.trail);
  }

  #inject(credential: GrantedCredential, grant: Grant<Channel>): Promise<Injection> {
    return Injection.begin(credential, grant, {
      head: this.head,
      target: this.#target,
      body: this.#body,
      channel: this.channel,
      idleMs: this.proxy.config.timeouts.idleMs,
    });
  }

  async relay(): Promise<Outcome> {
    this.channel.onLost(() => this.#giveUp(new ChannelLost('reset')));
    try {
      const response = await this.#sendAndAwait();
      return await this.#passResponse(response);
    } catch (error) {
      return await this.#endBroken(error);
    } finally {
      this.channel.onLost(undefined);
    }
  }

  /** The client's side is beyond help: the upstream sees an incomplete request and its connection closed. */
  #giveUp(fault: FramingError | ChannelLost | Refusal): void {
    this.#clientFault ??= fault;
    this.#upstream?.stream.destroy();
  }

  async #sendAndAwait(): Promise<ResponseHead> {
    const response = await this.#sendOnce();
    if (response.status !== 401 || this.#injection?.refused() !== true) return response;
    if (!this.#isRepeatable() || !(await this.#injection.renew())) return response;
    // The secret may have been replaced since it was read: the answer to the old one is nobody's.
    this.#upstream?.stream.destroy();
    this.#upstream = await (this.#grant as Grant<Channel>).borrow(this.trail, 'new');
    if (this.#clientFault !== undefined) throw this.#clientFault;
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
      if (!(error instanceof ChannelLost) || reader.started || !this.#mayRepeat()) throw error;
      // A kept connection may have died at any time; a new one has not been tried yet.
      this.#upstream = await (this.#grant as Grant<Channel>).borrow(this.trail, 'new');
      if (this.#clientFault !== undefined) throw this.#clientFault;
      this.#send();
      return this.#finalHead(reader);
    }
  }

  #mayRepeat(): boolean {
    return (
      this.#upstream?.reused === true && this.#clientFault === undefined && this.#isRepeatable()
    );
  }

  #isRepeatable(): boolean {
    return this.#body.framing.kind === 'none' && IDEMPOTENT.has(this.head.method);
  }

  #send(): void {
    const { stream, parent } = this.#upstream as Connection<Channel>;
    const { identityHeaders, trace } = this.#grant as Grant<Channel>;
    const { via } = this.proxy;
    const injection = this.#injection;
    const onward = { identityHeaders, trace, via, absolute: parent?.absolute, injection };
    stream.write(requestHead(this.head, this.#target, this.#body.framing, onward));
    this.#body.sendTo(stream, (fault) => this.#giveUp(fault), injection?.changes.body);
  }

  /** Passes interim responses on and gives the final one. */
  async #finalHead(reader: HeadReader<ResponseHead>): Promise<ResponseHead> {
    const { stream, parent } = this.#upstream as Connection<Channel>;
    for (let interim = 0; interim <= MAX_INTERIM; interim++) {
      const head = await takeHead(stream, reader, this.proxy.config.timeouts.headMs);
      if (head === undefined) throw new ChannelLost('reset');
      if (head.status === 407 && parent?.absolute !== undefined) throw this.#refusedByParent();
      if (head.status >= 200) return head;
      if (head.status === 101) return this.#vetUpgrade(head);
      if (this.head.minor === 1) {
        this.#writeHead(head, { kind: 'none' }, undefined);
      }
    }
    throw new UpstreamError('upstream-reset', `more than ${MAX_INTERIM} interim responses`);
  }

  /** Passed on, a 407 would ask the client for a credential that is the gateway's. */
  #refusedByParent(): UpstreamError {
    const { via, parent } = (this.#grant as Grant<Channel>).decision.settings ?? {};
    const message = `exit ${via}: the parent proxy ${parent?.name} answers 407`;
    return new UpstreamError('connect-failed', message);
  }

  #vetUpgrade(head: ResponseHead): ResponseHead {
    if (!asksForWebSocket(this.head) || !namesWebSocket(head.fields) || !this.#body.done) {
      throw new UpstreamError('upstream-reset', 'an upgrade that nobody asked for');
    }
    this.#injection?.vetUpgrade(head);
    return head;
  }

  async #passResponse(response: ResponseHead): Promise<Outcome> {
    this.#grant?.answered();
    if (response.status === 101) return this.#passWebSocket(response);
    const upstream = this.#upstream as Connection<Channel>;
    const answer = new ResponseBody(this.head, response, this.#injection);
    const { framing, onward } = answer;
    this.keepAlive = onward.kind !== 'close' && keepsAlive(this.head) && !this.proxy.leaving();
    this.status = response.status;
    this.#answer = answer;
    this.#body.answered();
    const passing = this.channel.together(() => {
      this.#writeHead(response, onward, this.#connectionField(), answer.isDecoded);
      return answer.send(upstream.stream, this.channel);
    });
    if (passing !== undefined) await passing;
    if (!this.#body.done) {
      this.keepAlive = false;
      await this.#body.stop();
    }
    this.#settleUpstream(upstream, response, framing);
    return this.#outcome(null);
  }

  #writeHead(
    response: ResponseHead,
    framing: Framing,
    connection: Parameters<typeof responseHead>[2],
    decoded = false,
  ): void {
    const head = responseHead(response, framing, connection, this.proxy.via, decoded);
    this.channel.write(this.#injection?.redact(head) ?? head);
  }

  /** From here on the bytes are the two ends' own, but for a credential that comes back. */
  async #passWebSocket(response: ResponseHead): Promise<Outcome> {
    const grant = this.#grant as Grant<Channel>;
    const upstream = this.#upstream as Connection<Channel>;
    this.keepAlive = false;
    this.#writeHead(response, { kind: 'none' }, 'upgrade');
    this.status = response.status;
    const end = await grant.tunnel(this.channel, upstream, NOTHING, this.#injection?.messages());
    return { status: response.status, ...end };
  }

  #connectionField(): 'close' | 'keep-alive' | undefined {
    if (!this.keepAlive) return 'close';
    return this.head.minor === 0 ? 'keep-alive' : undefined;
  }

  /** Only a connection on which both messages ended in order serves again. */
  #settleUpstream(upstream: Connection<Channel>, response: ResponseHead, framing: Framing): void {
    const reusable =
      this.#body.done &&
      framing.kind !== 'close' &&
      keepsAlive(response) &&
      !isBoundToUser(this.head, response);
    if (reusable) this.#grant?.giveBack(upstream);
    else upstream.stream.destroy();
  }

  async #endBroken(error: unknown): Promise<Outcome> {
    this.#upstream?.stream.destroy();
    this.keepAlive = false;
    await this.#body.stop();
    if (this.#clientFault !== undefined && !(this.#clientFault instanceof ChannelLost)) {
      return this.#refuseBody(this.#clientFault);
    }
    if (this.#clientFault !== undefined) return this.#outcome('client-reset');
    const outcome = await this.fail(troubleOf(error), (this.#grant as Grant<Channel>).id);
    return { ...outcome, detail: (error as Error).message };
  }

  /** The body turned out to be malformed after the head was passed on; the upstream has no complete request. */
  async #refuseBody(fault: FramingError | Refusal): Promise<Outcome> {
    const grant = this.#grant as Grant<Channel>;
    const { id, principal, contact } = grant;
    const decision = deny('request', 'request-invalid', fault.message);
    await grant.record(decision);
    return this.refuse({ id, decision, principal, contact });
  }

  protected override async answer(answer: OwnAnswer, error: Trouble | null): Promise<Outcome> {
    // To a client that waits for the close, a FIN would be the end of a complete response.
    if (this.#answer?.onward.kind === 'close') this.channel.cut();
    const { status } = await super.answer(answer, error);
    return { ...this.#outcome(error), status };
  }

  #outcome(error: Trouble | null): Outcome {
    const { status } = this;
    const { bytes: bytesDown = 0, unmasked } = this.#answer ?? {};
    return { status, error, bytesUp: this.#body.bytes, bytesDown, unmasked };
  }
}

function troubleOf(error: unknown): Trouble {
  if (error instanceof UpstreamError) return error.code;
  if (error instanceof FramingError) return 'upstream-reset';
  if (!(error instanceof ChannelLost)) throw error;
  return error.code === 'reset' ? 'upstream-reset' : 'idle-timeout';
}
