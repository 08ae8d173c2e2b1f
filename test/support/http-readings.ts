import assert from 'node:assert/strict';
import { BodyReader } from '../../src/wire/http1/body.ts';
import type { Fields } from '../../src/wire/http1/fields.ts';
import { type Framing, requestFraming, responseFraming } from '../../src/wire/http1/framing.ts';
import { FramingError } from '../../src/wire/http1/framing-error.ts';
import { HeadReader } from '../../src/wire/http1/head-reader.ts';
import { parseRequestHead, type RequestHead } from '../../src/wire/http1/request-head.ts';
import { parseResponseHead, type ResponseHead } from '../../src/wire/http1/response-head.ts';

const LIMITS = { bytes: 16 * 1024, fields: 100 };

/** One message as a reader sees it. */
export interface Seen {
  readonly startLine: string;
  /** `name`, `value`, `name`, ... */
  readonly fields: readonly string[];
  readonly body: string;
}

/** All that a reader makes of what comes over a connection. */
export interface Reading<Message extends Seen = Seen> {
  /** The whole ones. */
  readonly messages: readonly Message[];
  /** Why there is no further one: a FramingCode, `stray` for bytes that belong to nothing, `node` when Node says no. */
  readonly fault: string | undefined;
}

/** With what no other reader tells. */
export interface OwnSeen extends Seen {
  readonly framing: Framing['kind'];
  readonly fieldLines: Fields;
}

interface Kind<Head> {
  readonly parse: (bytes: Buffer, limits: typeof LIMITS) => Head;
  readonly startLineOf: (head: Head) => string;
  readonly framingOf: (head: Head) => Framing;
  /** Whether nothing may follow. */
  readonly isLast: (head: Head) => boolean;
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** What our codec makes of a client's bytes, as they arrive in `chunks`. */
export function readRequests(chunks: readonly Buffer[]): Reading<OwnSeen> {
  return read(chunks, {
    parse: parseRequestHead,
    startLineOf: (head: RequestHead) => `${head.method} ${head.target} HTTP/1.${head.minor}`,
    framingOf: requestFraming,
    isLast: () => false,
  });
}

/** What our codec makes of a server's bytes: interim responses and the final one. */
export function readResponse(chunks: readonly Buffer[], method: string): Reading<OwnSeen> {
  return read(chunks, {
    parse: parseResponseHead,
    startLineOf: (head: ResponseHead) => `HTTP/1.${head.minor} ${head.status} ${head.phrase}`,
    framingOf: (head) => responseFraming(head, method),
    isLast: ({ status }) => status >= 200 || status === 101,
  });
}

function read<Head extends { readonly fields: Fields }>(
  chunks: readonly Buffer[],
  kind: Kind<Head>,
): Reading<OwnSeen> {
  const reader = new ConnectionReader(kind);
  const { messages } = reader;
  try {
    for (const chunk of chunks) {
      if (!reader.push(chunk)) return { messages, fault: 'stray' };
    }
    return { messages, fault: reader.end() ? undefined : 'cut' };
  } catch (error) {
    if (!(error instanceof FramingError)) throw error;
    // Always one clause for people, without a byte of what was sent.
    assert.match(error.message, /^[a-zA-Z][\w ,./-]{10,80}$/);
    return { messages, fault: error.code };
  }
}

/** Puts head and body readers in a row, as the gateway does. */
class ConnectionReader<Head extends { readonly fields: Fields }> {
  readonly messages: OwnSeen[] = [];
  readonly #kind: Kind<Head>;
  readonly #heads: HeadReader<Head>;
  #open: { head: Head; framing: Framing; body: BodyReader; payload: Buffer[] } | undefined;
  #over = false;

  constructor(kind: Kind<Head>) {
    this.#kind = kind;
    this.#heads = new HeadReader(kind.parse, LIMITS);
  }

  /** Returns whether every byte is part of some message. @throws FramingError */
  push(chunk: Buffer): boolean {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#over) return false;
      if (this.#open === undefined) {
        const head = this.#heads.push(rest);
        if (head === undefined) return true;
        rest = this.#heads.rest;
        this.#heads.reset();
        const framing = this.#kind.framingOf(head);
        this.#open = { head, framing, body: new BodyReader(framing), payload: [] };
      }
      const { body, payload } = this.#open;
      rest = rest.subarray(body.push(rest, (piece) => payload.push(piece)));
      if (body.done) this.#close();
    }
    return true;
  }

  /** Returns whether the bytes end where a message may. @throws FramingError within a body */
  end(): boolean {
    this.#open?.body.end();
    this.#close();
    return !this.#heads.started;
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { head, framing, payload } = this.#open;
    this.#open = undefined;
    this.#over = this.#kind.isLast(head);
    this.messages.push({
      startLine: this.#kind.startLineOf(head),
      fields: flat(head.fields),
      body: Buffer.concat(payload).toString('latin1'),
      framing: framing.kind,
      fieldLines: head.fields,
    });
  }
}

function flat(fields: Fields): string[] {
  return Array.from({ length: fields.count }, (_, i) => [fields.name(i), fields.valueAt(i)]).flat();
}
