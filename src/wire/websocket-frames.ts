import { UpstreamError } from '../core/refusal.ts';

/** How a frame begins (RFC 6455 5.2). */
export interface FrameHeader {
  /** Bytes of the header itself. */
  readonly size: number;
  /** Bytes of payload that follow. */
  readonly length: number;
  /** Close, ping or pong: never in pieces, and may stand between the frames of a message. */
  readonly control: boolean;
  /** Whether it goes on with the message that the frame before it began. */
  readonly continues: boolean;
  /** Whether it is the last frame of its message. */
  readonly last: boolean;
}

const FIN = 0x80;
const RESERVED = 0x70;
const MASKED = 0x80;
const CONTINUATION = 0x0;
const LARGEST_CONTROL = 125;

/**
 * Reads the header of a frame that a server sent to a client that asked for no extension.
 *
 * @returns undefined where more of it has to come
 * @throws UpstreamError for a frame that no server may send: what is in it could not be looked at
 */
export function readFrameHeader(bytes: Buffer): FrameHeader | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const opcode = first & 0x0f;
  const short = second & 0x7f;
  const control = opcode >= 0x8;
  const last = (first & FIN) !== 0;
  if ((first & RESERVED) !== 0) throw broken('is of an extension that nobody asked for');
  if ((second & MASKED) !== 0) throw broken('of a server is masked');
  if ((opcode & 0x7) > 2) throw broken('is of an unknown kind');
  if (control && (!last || short > LARGEST_CONTROL)) throw broken('of control is too long');
  const size = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0);
  if (bytes.length < size) return undefined;
  const length = size === 2 ? short : size === 4 ? bytes.readUInt16BE(2) : longLength(bytes);
  return { size, length, control, continues: opcode === CONTINUATION, last };
}

function longLength(bytes: Buffer): number {
  const length = bytes.readBigUInt64BE(2);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw broken('is longer than can be');
  return Number(length);
}

function broken(how: string): UpstreamError {
  return new UpstreamError('upstream-reset', `a frame of the WebSocket ${how}`);
}
