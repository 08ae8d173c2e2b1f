import type { Http2Stream } from 'node:http2';
import { BodyReader } from '../../wire/http1/body.ts';
import type { Fields } from '../../wire/http1/fields.ts';
import type { Framing } from '../../wire/http1/framing.ts';
import { addFields, fieldMap } from '../../wire/http2/fields.ts';

/** A head that is whole. */
export interface TakenHead {
  /** Of the body that follows. */
  readonly framing: Framing;
  /** What of it came with the head. */
  readonly rest: Buffer;
}

export interface SentMessageTerms {
  /** Undefined before it was opened. */
  stream(): Http2Stream | undefined;
  /** Takes what it can of the head that is written. */
  takeHead(bytes: Buffer): TakenHead | undefined;
  /** Sends the head that is whole. @param ends whether nothing follows it */
  sendHead(ends: boolean): void;
}

/** A message that is written in HTTP/1.1 and goes out in frames: its head once something of the body or its end is there. */
export class SentMessage {
  readonly #terms: SentMessageTerms;
  /** Undefined before the head is whole. */
  #body: BodyReader | undefined;
  #trailers: Fields | undefined;
  /** Whether the head went out. */
  #begun = false;

  constructor(terms: SentMessageTerms) {
    this.#terms = terms;
  }

  write(bytes: Buffer): void {
    let rest: Buffer | undefined = bytes;
    if (this.#body === undefined) {
      const taken = this.#terms.takeHead(bytes);
      if (taken === undefined) return;
      this.#body = new BodyReader(taken.framing);
      rest = taken.rest;
    }
    this.#writeBody(this.#body, rest);
  }

  #writeBody(body: BodyReader, bytes: Buffer): void {
    body.push(bytes, (payload) => {
      this.#begin(false);
      const stream = this.#terms.stream();
      if (stream?.writable === true) stream.write(payload);
    });
    this.#trailers = body.trailers;
    if (!body.done) return void this.#begin(false);
    if (!this.#begin(this.#trailers === undefined)) this.#terms.stream()?.end();
  }

  /** @returns whether the head, which went out now, was all */
  #begin(ends: boolean): boolean {
    if (this.#begun) return false;
    this.#begun = true;
    this.#terms.sendHead(ends);
    return ends;
  }

  /** Once the stream wants them. */
  sendTrailers(): void {
    const fields = this.#trailers;
    this.#terms.stream()?.sendTrailers(fields === undefined ? {} : addFields(fieldMap(), fields));
  }

  /** @returns whether it is whole: without a head there is no message, and with a part of its body a wrong one */
  end(): boolean {
    if (!this.#begun || this.#body === undefined) return false;
    // As far as the connection reaches: that is here.
    if (this.#body.isOpenEnded) this.#body.end();
    if (this.#body.done) this.#terms.stream()?.end();
    return this.#body.done;
  }
}
