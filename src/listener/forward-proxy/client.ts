import type { ListenerConfig } from '../../config/config.ts';
import type { Conversation, Evidence, Outcome, RefusalNotice } from '../../core/conversation.ts';
import type { Ip } from '../../core/ip.ts';
import type { Places } from '../../core/places.ts';
import type { Trouble } from '../../core/reasons.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { Channel } from '../../stream/channel.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { encodeAnswer, type OwnAnswer, refusalAnswer, troubleAnswer } from './refusal-response.ts';
import { viaTrail } from './via.ts';

/** Field lines of a request. */
export const MAX_FIELDS = 256;

/** What the listener needs of the gateway around it. */
export interface ProxyContext {
  readonly config: ListenerConfig;
  /** For its connections. */
  readonly places: Places;
  /** This gateway in Via fields. */
  readonly via: string;
  /** What a 407 may offer. */
  schemes(): readonly string[];
  /** Whether the gateway is about to stop: then every answer is the last one of its connection, and says so. */
  leaving(): boolean;
  /** Runs a conversation along the path of an exchange. Never rejects. */
  run(conversation: Conversation<Channel>): Promise<void>;
  /** Answers `http://sekisho.internal/`; undefined: there is no such page. */
  ownPage(path: string, evidence: Evidence): Promise<OwnPage | undefined>;
}

export interface OwnPage {
  readonly status: number;
  readonly body: unknown;
}

/** One client connection, as every conversation on it sees it. */
export interface Client {
  readonly channel: Channel;
  readonly ip: Ip;
  readonly port: number;
  /** The TCP peer: a balancer, or the client itself. */
  readonly peer: Ip;
  /** What its request came in, where that was not HTTP/1. */
  readonly protocol?: 'h2';
  /** What its request is refused with, whatever it asks for. */
  readonly unwelcome?: Refusal;
}

export function headEvidence(client: Client, head: RequestHead): Evidence {
  return { client: client.ip, header: (name) => head.fields.values(name) };
}

/** What all conversations of this listener have in common: whose they are, and how the gateway itself answers. */
export abstract class ProxyConversation {
  readonly listener: string;
  readonly client: { readonly ip: Ip; readonly port: number };
  readonly peer: Ip;
  readonly protocol: 'h2' | undefined;
  /** Whether the next request may follow on this connection. */
  keepAlive = false;
  /** What the client was told, once it was told anything: whatever is written then, it would read as part of that. */
  protected status: number | null = null;
  protected readonly channel: Channel;
  protected readonly proxy: ProxyContext;
  protected readonly head: RequestHead | undefined;

  constructor(client: Client, proxy: ProxyContext, head: RequestHead | undefined) {
    this.listener = proxy.config.name;
    this.client = client;
    this.peer = client.peer;
    this.protocol = client.protocol;
    this.channel = client.channel;
    this.proxy = proxy;
    this.head = head;
  }

  protected readonly trail = (): string =>
    this.head === undefined ? '' : viaTrail(this.head, this.protocol, this.proxy.via);

  get traceparent(): readonly string[] {
    return this.head?.fields.values('traceparent') ?? [];
  }

  refuse(notice: RefusalNotice): Promise<Outcome> {
    return this.answer(refusalAnswer(notice), null);
  }

  fail(error: Trouble, id: string): Promise<Outcome> {
    return this.answer(troubleAnswer(error, id), error);
  }

  /** An answer of the gateway's own; where another one has begun, a cut says that the rest is missing. */
  protected async answer(answer: OwnAnswer, error: Trouble | null): Promise<Outcome> {
    if (this.status !== null) {
      this.channel.destroy();
      return { status: this.status, error, bytesUp: 0, bytesDown: 0 };
    }
    this.status = answer.status;
    const accept = this.head?.fields.value('accept') ?? '';
    const bytes = encodeAnswer(answer, {
      json: /application\/(?:problem\+)?json/i.test(accept),
      close: !this.keepAlive,
      schemes: this.proxy.schemes(),
      headOnly: this.head?.method === 'HEAD',
    });
    this.channel.write(bytes);
    return { status: answer.status, error, bytesUp: 0, bytesDown: 0 };
  }
}
