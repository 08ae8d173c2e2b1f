import type { Conversation, Evidence, Outcome } from '../../core/conversation.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { Channel } from '../../stream/channel.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { type Client, type ProxyContext, ProxyConversation } from './client.ts';

/** What is no plainly valid request: it takes the path of an exchange as far as its refusal, and the record. */
export class Unreadable extends ProxyConversation implements Conversation<Channel> {
  readonly action: string;
  readonly destination: Refusal;
  readonly request = undefined;

  constructor(client: Client, proxy: ProxyContext, head: RequestHead | undefined, fault: Refusal) {
    super(client, proxy, head);
    this.action = head?.method ?? '-';
    this.destination = fault;
  }

  evidence(): Evidence {
    return { client: this.client.ip, header: () => [] };
  }

  async open(): Promise<void> {
    throw this.destination;
  }

  async relay(): Promise<Outcome> {
    throw this.destination;
  }
}
