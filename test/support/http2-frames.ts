import { once } from 'node:events';
import type { Duplex } from 'node:stream';

/** Frame types (RFC 9113 section 6). */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4 } as const;

/** Error codes (RFC 9113 section 7). */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  ENHANCE_YOUR_CALM: 11,
  HTTP_1_1_REQUIRED: 13,
} as const;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEADER_SIZE = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One frame, whatever it holds: what a client of Node's would refuse to send as well. */
export function frame(type: number, flags: number, stream: number, payload: Buffer | string = '') {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(HEADER_SIZE);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** SETTINGS, by their numbers (RFC 9113 6.5.2). */
export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const entries = Object.entries(values).map(([id, value]) => {
    const entry = Buffer.alloc(6);
    entry.writeUInt16BE(Number(id), 0);
    entry.writeUInt32BE(value, 2);
    return entry;
  });
  return frame(FRAME.SETTINGS, 0, 0, Buffer.concat(entries));
}

export type Field = readonly [name: string, value: string];

/** A header block of literals that nobody keeps (RFC 7541 6.2.2), in latin1, without Huffman's code. */
export function block(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]),
  );
}

function literal(text: string): Buffer {
  return Buffer.concat([integer(text.length, 7), Buffer.from(text, 'latin1')]);
}

/** RFC 7541 5.1. */
function integer(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

export function headers(stream: number, fields: readonly Field[], flags: number): Buffer {
  return frame(FRAME.HEADERS, flags | FLAG.END_HEADERS, stream, block(fields));
}

export function resetStream(stream: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(FRAME.RST_STREAM, 0, stream, payload);
}

export function windowUpdate(stream: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.WINDOW_UPDATE, 0, stream, payload);
}

/** One end of an HTTP/2 connection, frame by frame. SETTINGS and PINGs of the other end are acknowledged. */
export class FramePeer {
  readonly socket: Duplex;
  readonly frames: Frame[] = [];
  /** Whether the other end is gone. */
  ended = false;
  /** Whether it acknowledges nothing any more, as if nobody were there. */
  silent = false;
  #pending = Buffer.alloc(0);
  /** What is left of the other end's preface. */
  #preface: number;

  /** @param as which of the two ends it is; the other end of a server begins with a preface */
  constructor(socket: Duplex, as: 'client' | 'server' = 'client') {
    this.socket = socket;
    this.#preface = as === 'server' ? PREFACE.length : 0;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => {});
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        this.ended = true;
        socket.emit('frames');
        socket.destroy();
      });
  }

  /** As the client, with these settings. */
  begin(values: Readonly<Record<number, number>> = {}): this {
    return this.send(Buffer.from(PREFACE), settings(values));
  }

  send(...frames: readonly Buffer[]): this {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
    return this;
  }

  /** The first frame that fits, once it is there; undefined where the other end leaves before. */
  async first(fits: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined || this.ended) return found;
      await once(this.socket, 'frames');
    }
  }

  /** How the other end ends a stream: its reset code, or `done` at its END_STREAM, or `gone`. */
  async endOf(stream: number): Promise<number | 'done' | 'gone'> {
    const end = await this.first(
      ({ type, flags, stream: id }) =>
        id === stream &&
        (type === FRAME.RST_STREAM || (type <= FRAME.HEADERS && (flags & FLAG.END_STREAM) !== 0)),
    );
    if (end === undefined) return 'gone';
    return end.type === FRAME.RST_STREAM ? end.payload.readUInt32BE(0) : 'done';
  }

  /** The code with which the other end ends the connection; undefined where it just closed. */
  async goaway(): Promise<number | undefined> {
    const last = await this.first(
      ({ type, payload }) => type === FRAME.GOAWAY && payload.readUInt32BE(4) !== CODE.NO_ERROR,
    );
    return last?.payload.readUInt32BE(4);
  }

  #take(chunk: Buffer): void {
    const past = Math.min(this.#preface, chunk.length);
    this.#preface -= past;
    this.#pending = Buffer.concat([this.#pending, chunk.subarray(past)]);
    for (;;) {
      if (this.#pending.length < HEADER_SIZE) break;
      const end = HEADER_SIZE + this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < end) break;
      const found: Frame = {
        type: this.#pending.readUInt8(3),
        flags: this.#pending.readUInt8(4),
        stream: this.#pending.readUInt32BE(5),
        payload: this.#pending.subarray(HEADER_SIZE, end),
      };
      this.#pending = this.#pending.subarray(end);
      this.frames.push(found);
      this.#acknowledge(found);
    }
    this.socket.emit('frames');
  }

  #acknowledge({ type, flags, payload }: Frame): void {
    if (this.silent) return;
    if ((type !== FRAME.SETTINGS && type !== FRAME.PING) || (flags & FLAG.ACK) !== 0) return;
    this.send(frame(type, FLAG.ACK, 0, type === FRAME.PING ? payload : ''));
  }
}
