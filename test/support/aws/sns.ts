import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { CERTIFICATE_URL, SnsSigner } from '../sns-signer.ts';
import { AwsError } from './aws-error.ts';
import { permitted } from './iam.ts';
import { queryProtocol } from './query-protocol.ts';
import type { FakeService, Input } from './service.ts';

interface Subscription {
  readonly topic: string;
  readonly protocol: string;
  readonly endpoint: string;
  readonly token: string;
  confirmed: boolean;
}

/** What became of a message at an endpoint: the statuses of all tries, 0 for a connection that failed. */
export interface Delivery {
  readonly type: string;
  readonly endpoint: string;
  readonly statuses: readonly number[];
}

const PROTOCOL = queryProtocol('http://sns.amazonaws.com/doc/2010-03-31/');
/** As the default delivery policy has it, without its twenty seconds in between. */
const TRIES = 4;

/** SNS, with its address in the world: topics, subscriptions that have to be confirmed, deliveries that are tried again. */
export class Sns {
  readonly signer = new SnsSigner();
  readonly deliveries: Delivery[] = [];
  readonly #versions = new Map<string, '1' | '2'>();
  readonly #subscriptions: Subscription[] = [];
  readonly #underway = new Set<Promise<void>>();
  readonly #ca: Buffer;

  /** @param ca whom endpoints have their certificates of */
  constructor(ca: Buffer) {
    this.#ca = ca;
  }

  /** Messages are signed as topics have it from the beginning: by SHA-1. */
  addTopic(arn: string): void {
    this.#versions.set(arn, '1');
  }

  readonly service: FakeService = permitted({
    name: 'sns',
    protocol: PROTOCOL,
    resources: ({ input }) => [String(input.TopicArn)],
    operations: {
      Subscribe: (input) => this.#subscribe(input),
      ConfirmSubscription: (input) => this.#confirm(input),
      Publish: (input) => this.#publish(input),
      SetTopicAttributes: (input) => this.#setAttributes(input),
    },
  });

  isConfirmed(topic: string): boolean {
    return this.#subscriptions.some((one) => one.topic === topic && one.confirmed);
  }

  /** Once everything that was published is delivered, or given up. */
  async delivered(): Promise<void> {
    while (this.#underway.size > 0) await Promise.all(this.#underway);
  }

  /** What is at `https://sns.us-east-1.amazonaws.com`: certificates, and confirmations that nobody has to sign. */
  answer(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = incoming;
    if (url === new URL(CERTIFICATE_URL).pathname) {
      const { certificate } = this.signer;
      response.writeHead(200, { 'content-length': certificate.length }).end(certificate);
      return;
    }
    const read = () => PROTOCOL.read({ method, url, headers, body: Buffer.alloc(0) });
    let reply = PROTOCOL.refuse(new AwsError('InvalidAction', 'not here', 400), randomUUID());
    try {
      const { operation, input } = read();
      if (operation === 'ConfirmSubscription') {
        reply = PROTOCOL.answer(operation, this.#confirm(input), randomUUID());
      }
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      reply = PROTOCOL.refuse(error, randomUUID());
    }
    const length = Buffer.byteLength(reply.body);
    response
      .writeHead(reply.status, { ...reply.headers, 'content-length': length })
      .end(reply.body);
  }

  #known({ TopicArn }: Input): string {
    const arn = String(TopicArn);
    if (this.#versions.has(arn)) return arn;
    throw new AwsError('NotFound', 'Topic does not exist', 404);
  }

  #subscribe(input: Input) {
    const topic = this.#known(input);
    const { Protocol: protocol, Endpoint } = input;
    const endpoint = String(Endpoint);
    if (protocol !== 'https' || !endpoint.startsWith('https://')) {
      throw new AwsError('InvalidParameter', 'Invalid parameter: Endpoint must match the protocol');
    }
    const token = randomUUID().replaceAll('-', '');
    this.#subscriptions.push({ topic, protocol, endpoint, token, confirmed: false });
    const query = new URLSearchParams({
      Action: 'ConfirmSubscription',
      TopicArn: topic,
      Token: token,
    });
    this.#send(topic, endpoint, {
      Type: 'SubscriptionConfirmation',
      Token: token,
      Message: `You have chosen to subscribe to the topic ${topic}.`,
      SubscribeURL: `${new URL(CERTIFICATE_URL).origin}/?${query}`,
    });
    return { SubscriptionArn: 'pending confirmation' };
  }

  #confirm(input: Input) {
    const topic = this.#known(input);
    const found = this.#subscriptions.find(
      (one) => one.topic === topic && one.token === input.Token,
    );
    if (found === undefined) throw new AwsError('InvalidParameter', 'Invalid token');
    found.confirmed = true;
    return { SubscriptionArn: `${topic}:${randomUUID()}` };
  }

  #publish(input: Input) {
    const topic = this.#known(input);
    const MessageId = randomUUID();
    const { Message, Subject } = input;
    for (const { confirmed, endpoint } of this.#subscriptions.filter(
      (one) => one.topic === topic,
    )) {
      if (!confirmed) continue;
      const subject = Subject === undefined ? {} : { Subject: String(Subject) };
      this.#send(topic, endpoint, { MessageId, Message: String(Message), ...subject });
    }
    return { MessageId };
  }

  #setAttributes(input: Input) {
    const { AttributeName, AttributeValue } = input;
    if (AttributeName !== 'SignatureVersion' || !/^[12]$/.test(String(AttributeValue))) {
      throw new AwsError('InvalidParameter', 'Invalid parameter: AttributeName');
    }
    this.#versions.set(this.#known(input), AttributeValue as '1' | '2');
    return {};
  }

  #send(TopicArn: string, endpoint: string, fields: Record<string, string>): void {
    const version = this.#versions.get(TopicArn);
    const Timestamp = new Date().toISOString();
    const message = this.signer.message({ TopicArn, Timestamp, ...fields }, version);
    const sending = this.deliver(endpoint, message).then(() => {
      this.#underway.delete(sending);
    });
    this.#underway.add(sending);
  }

  /** Brings a message, be it a forged one, to an endpoint; again where that fails, and not where it is refused. */
  async deliver(endpoint: string, message: string): Promise<Delivery> {
    const { Type: type } = JSON.parse(message) as { Type: string };
    const statuses: number[] = [];
    while (statuses.length < TRIES) {
      const status = await this.#post(endpoint, message, type).catch(() => 0);
      statuses.push(status);
      if (status !== 0 && status !== 429 && status < 500) break;
    }
    const delivery = { type, endpoint, statuses };
    this.deliveries.push(delivery);
    return delivery;
  }

  async #post(endpoint: string, message: string, type: string): Promise<number> {
    const sent = request(endpoint, {
      method: 'POST',
      ca: this.#ca,
      headers: {
        'x-amz-sns-message-type': type,
        'content-type': 'text/plain; charset=UTF-8',
        'content-length': Buffer.byteLength(message),
        'user-agent': 'Amazon Simple Notification Service Agent',
      },
    });
    sent.end(message);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    await text(response);
    return response.statusCode ?? 0;
  }
}
