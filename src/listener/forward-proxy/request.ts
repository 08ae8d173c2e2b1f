import type { Connection, Conversation, Grant, Outcome } from '../../core/conversation.ts';
import { deny } from '../../core/decision.ts';
import type { Trouble } from '../../core/reasons.ts';
import { type Refusal, UpstreamError } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { type Framing, keepsAlive } from '../../wire/http1/framing.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import type { ResponseHead } from '../../wire/http1/response-head.ts';
import { isBoundToUser, responseHead } from './forwarded-head.ts';
import { OutgoingRequest } from './outgoing-request.ts';
import type { OwnAnswer } from './refusal-response.ts';
import { ResponseBody } from './response-body.ts';

const NOTHING = Buffer.alloc(0);

/** One HTTP request that can be read: bodies stream both ways, and both connections may serve again. */
export class ForwardedRequest extends OutgoingRequest implements Conversation<Channel> {
  /** Of the response that has begun. */
  #answer: ResponseBody | undefined;

  async relay(): Promise<Outcome> {
    this.channel.onLost(() => this.giveUp(new ChannelLost('reset')));
    try {
      const response = await this.sendAndAwait();
      return await this.#passResponse(response);
    } catch (error) {
      return await this.#endBroken(error);
    } finally {
      this.channel.onLost(undefined);
    }
  }

  protected passInterim(head: ResponseHead): void {
    this.#writeHead(head, { kind: 'none' }, undefined);
  }

  async #passResponse(response: ResponseHead): Promise<Outcome> {
    this.grant?.answered();
    if (response.status === 101) return this.#passWebSocket(response);
    const upstream = this.upstream as Connection<Channel>;
    const answer = new ResponseBody(this.head, response, this.injection);
    const { framing, onward } = answer;
    this.keepAlive = onward.kind !== 'close' && keepsAlive(this.head) && !this.proxy.leaving();
    this.status = response.status;
    this.#answer = answer;
    this.body.answered();
    const passing = this.channel.together(() => {
      this.#writeHead(response, onward, this.#connectionField(), answer.isDecoded);
      return answer.send(upstream.stream, this.channel);
    });
    if (passing !== undefined) await passing;
    if (!this.body.done) {
      this.keepAlive = false;
      await this.body.stop();
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
    const hop = { via: this.proxy.via, protocol: this.upstream?.protocol };
    const head = responseHead(response, framing, connection, hop, decoded);
    this.channel.write(this.injection?.redact(head) ?? head);
  }

  /** From here on the bytes are the two ends' own, but for a credential that comes back. */
  async #passWebSocket(response: ResponseHead): Promise<Outcome> {
    const grant = this.grant as Grant<Channel>;
    const upstream = this.upstream as Connection<Channel>;
    this.keepAlive = false;
    this.#writeHead(response, { kind: 'none' }, 'upgrade');
    this.status = response.status;
    const end = await grant.tunnel(this.channel, upstream, NOTHING, this.injection?.messages());
    return { status: response.status, ...end };
  }

  #connectionField(): 'close' | 'keep-alive' | undefined {
    if (!this.keepAlive) return 'close';
    return this.head.minor === 0 ? 'keep-alive' : undefined;
  }

  /** Only a connection on which both messages ended in order serves again. */
  #settleUpstream(upstream: Connection<Channel>, response: ResponseHead, framing: Framing): void {
    const reusable =
      this.body.done &&
      framing.kind !== 'close' &&
      keepsAlive(response) &&
      !isBoundToUser(this.head, response);
    if (reusable) this.grant?.giveBack(upstream);
    else upstream.stream.destroy();
  }

  async #endBroken(error: unknown): Promise<Outcome> {
    this.upstream?.stream.destroy();
    this.keepAlive = false;
    await this.body.stop();
    if (this.clientFault !== undefined && !(this.clientFault instanceof ChannelLost)) {
      return this.#refuseBody(this.clientFault);
    }
    if (this.clientFault !== undefined) return this.#outcome('client-reset');
    const outcome = await this.fail(troubleOf(error), (this.grant as Grant<Channel>).id);
    return { ...outcome, detail: (error as Error).message };
  }

  /** The body turned out to be malformed after the head was passed on; the upstream has no complete request. */
  async #refuseBody(fault: FramingError | Refusal): Promise<Outcome> {
    const grant = this.grant as Grant<Channel>;
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
    return { status, error, bytesUp: this.body.bytes, bytesDown, unmasked };
  }
}

function troubleOf(error: unknown): Trouble {
  if (error instanceof UpstreamError) return error.code;
  if (error instanceof FramingError) return 'upstream-reset';
  if (!(error instanceof ChannelLost)) throw error;
  return error.code === 'reset' ? 'upstream-reset' : 'idle-timeout';
}
