import type { BodyChange } from '../../core/injection.ts';
import { Refusal } from '../../core/refusal.ts';
import { type Passage, pumpBody } from '../../stream/bodies.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { BodyReader } from '../../wire/http1/body.ts';
import type { Fields } from '../../wire/http1/fields.ts';
import { type Framing, requestFraming } from '../../wire/http1/framing.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';

/** How long a client that waits for `100 Continue` may wait for its destination to say so (RFC 9110 10.1.1). */
const CONTINUE_MS = 1_000;
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

/** Whose body it is. */
export interface Sender {
  /** What the body becomes on its way; undefined: it goes on as it came. */
  readonly change: BodyChange | undefined;
  lastChunk(trailers: Fields | undefined): Buffer;
  /** The client's side fails: its body is malformed or it is gone. */
  giveUp(fault: FramingError | ChannelLost | Refusal): void;
}

/** The body of a request on its way from the client. Unless it is gathered it is streamed, so it can be sent once only. */
export class RequestBody implements Passage {
  framing: Framing;
  /** Payload bytes so far. */
  bytes = 0;
  readonly #client: Channel;
  readonly #reader: BodyReader;
  readonly #waitsForContinue: boolean;
  #sender: Sender | undefined;
  #sending: Promise<void> | undefined;
  #gathered: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @throws FramingError when the head does not tell plainly how long its body is */
  constructor(client: Channel, head: RequestHead) {
    this.#client = client;
    this.framing = requestFraming(head);
    this.#reader = new BodyReader(this.framing);
    this.#waitsForContinue =
      head.minor === 1 && head.fields.list('expect').includes('100-continue');
  }

  /** Whether all of it was read; true from the start for a request without body. */
  get done(): boolean {
    return this.#reader.done;
  }

  /**
   * Reads the whole body before any of it is sent. It then goes on with its length.
   *
   * @throws Refusal `request-invalid` for one that is longer than `limit` bytes, FramingError, ChannelLost
   */
  async gather(limit: number): Promise<Buffer | undefined> {
    if (this.done) return undefined;
    if (this.#waitsForContinue) this.#continue();
    const pieces: Buffer[] = [];
    let length = 0;
    while (!this.done) {
      const read = await this.#client.take((chunk) => {
        const used = this.#reader.push(chunk, (payload) => {
          length += payload.length;
          pieces.push(Buffer.from(payload));
        });
        if (used < chunk.length) this.#client.unread(chunk.subarray(used));
        if (length > limit) throw tooLong(limit);
        return true;
      });
      if (read === undefined) this.#reader.end();
    }
    this.#gathered = Buffer.concat(pieces);
    this.framing = { kind: 'length', length };
    return this.#gathered;
  }

  /** Whether the request can be sent again: it has none, or all of it was gathered. */
  get isKept(): boolean {
    return this.framing.kind === 'none' || this.#gathered !== undefined;
  }

  get chunked(): boolean {
    return this.framing.kind === 'chunked';
  }

  get change(): BodyChange | undefined {
    return this.#sender?.change;
  }

  count(bytes: number): void {
    this.bytes += bytes;
  }

  lastChunk(trailers: Fields | undefined): Buffer {
    return (this.#sender as Sender).lastChunk(trailers);
  }

  sendTo(upstream: Channel, sender: Sender): void {
    if (this.#gathered !== undefined) {
      this.bytes = this.#gathered.length;
      if (this.bytes > 0) upstream.write(this.#gathered);
    }
    if (this.done) return;
    if (this.#waitsForContinue) this.#timer = setTimeout(() => this.#continue(), CONTINUE_MS);
    this.#sender = sender;
    const pump = async () => pumpBody(this.#client, this.#reader, upstream, this);
    this.#sending = pump().catch((error: unknown) => {
      if (error instanceof Refusal) return sender.giveUp(error);
      if (!(error instanceof FramingError || error instanceof ChannelLost)) throw error;
      // A client that leaves within its body sends a FIN more often than a reset.
      if (error.code === 'cut') sender.giveUp(new ChannelLost('reset'));
      else if (error.code !== 'abandoned') sender.giveUp(error);
    });
  }

  /** Some clients wait for ever, and some servers never say it. */
  #continue(): void {
    if (this.bytes === 0) this.#client.write(CONTINUE);
  }

  /** The final response has begun: the client need not be told to go on. */
  answered(): void {
    clearTimeout(this.#timer);
  }

  /** Stops reading the body. Resolves once nothing of it is under way; undefined where nothing was. */
  stop(): Promise<void> | undefined {
    clearTimeout(this.#timer);
    if (!this.done) this.#client.abandon();
    return this.#sending;
  }
}

function tooLong(limit: number): Refusal {
  return new Refusal('request-invalid', `a body of more than ${limit} bytes is not signed here`);
}
