import type { Conversation, Evidence, Grant, Outcome } from '../../core/conversation.ts';
import { TROUBLES, type Trouble } from '../../core/reasons.ts';
import type { Channel } from '../../stream/channel.ts';

/**
 * A conversation whose client is an event. That "client" never leaves: where its connection broke, or its answer is none that
 * a function may give, the function did that, and the record says why.
 */
export class EventConversation implements Conversation<Channel> {
  readonly listener: string;
  readonly client: Conversation<Channel>['client'];
  readonly peer: Conversation<Channel>['peer'];
  readonly action: string;
  readonly destination: Conversation<Channel>['destination'];
  readonly request: Conversation<Channel>['request'];
  readonly traceparent: readonly string[];
  readonly #inner: Conversation<Channel>;
  readonly #judge: () => Trouble | undefined;

  /** @param judge why the function does not give the answer that is there; undefined: it does */
  constructor(inner: Conversation<Channel>, judge: () => Trouble | undefined) {
    this.listener = inner.listener;
    this.client = inner.client;
    this.peer = inner.peer;
    this.action = inner.action;
    this.destination = inner.destination;
    this.request = inner.request;
    this.traceparent = inner.traceparent ?? [];
    this.#inner = inner;
    this.#judge = judge;
  }

  evidence(): Evidence {
    return this.#inner.evidence();
  }

  refuse(...notice: Parameters<Conversation<Channel>['refuse']>): Promise<Outcome> {
    return this.#inner.refuse(...notice);
  }

  fail(...trouble: Parameters<Conversation<Channel>['fail']>): Promise<Outcome> {
    return this.#inner.fail(...trouble);
  }

  open(grant: Grant<Channel>): Promise<void> {
    return this.#inner.open(grant);
  }

  async relay(): Promise<Outcome> {
    const outcome = await this.#inner.relay();
    if (outcome.error !== null && outcome.error !== 'client-reset') return outcome;
    const error = this.#judge();
    return error === undefined ? outcome : { ...outcome, error, status: TROUBLES[error].status };
  }
}
