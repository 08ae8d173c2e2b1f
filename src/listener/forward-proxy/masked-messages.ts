import type { BodyChange, Redaction } from '../../core/injection.ts';
import { UpstreamError } from '../../core/refusal.ts';
import { type FrameHeader, readFrameHeader } from '../../wire/websocket-frames.ts';

const NOTHING = Buffer.alloc(0);
/** Headers and control frames that may wait behind payload which may be the beginning of a secret. */
const MOST_BEHIND = 64 * 1024;

/**
 * Masks what a WebSocket's server sends, message by message: in a message that comes in several frames a secret may be cut
 * by their headers. Frames keep their lengths, so headers stay as they are.
 */
export class MaskedMessages implements BodyChange {
  readonly #redaction: Redaction;
  /** A header that is not whole yet, or what is here of a control frame. */
  #pending: Buffer = NOTHING;
  #frame: FrameHeader | undefined;
  /** Payload of the frame that has to come. */
  #left = 0;
  #message: BodyChange | undefined;
  /** Payload of the message that came, and that went on. */
  #came = 0;
  #went = 0;
  /** What stands behind payload that is held back: behind so much of the message. */
  #behind: { readonly after: number; readonly bytes: Buffer }[] = [];
  #behindBytes = 0;
  #out: Buffer[] = [];

  constructor(redaction: Redaction) {
    this.#redaction = redaction;
  }

  /** @throws UpstreamError for frames that could not be looked at */
  push(piece: Buffer): Buffer {
    let rest = piece;
    while (rest.length > 0) {
      rest = this.#frame === undefined ? this.#takeHeader(rest) : this.#takePayload(rest);
    }
    return this.#given();
  }

  /** What is there of a control frame that never became whole does not go on: nobody looked at it. */
  end(): Buffer {
    if (this.#message !== undefined) this.#give(this.#message.end());
    return this.#given();
  }

  #given(): Buffer {
    const given = Buffer.concat(this.#out);
    this.#out = [];
    return given;
  }

  #takeHeader(bytes: Buffer): Buffer {
    const known = this.#pending.length;
    const whole = known === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    const header = readFrameHeader(whole);
    if (header === undefined) {
      this.#pending = whole;
      return NOTHING;
    }
    this.#begin(header, whole.subarray(0, header.size));
    return bytes.subarray(header.size - known);
  }

  #begin(header: FrameHeader, bytes: Buffer): void {
    this.#frame = header;
    this.#left = header.length;
    this.#pending = NOTHING;
    if (header.control) {
      this.#pending = bytes;
    } else {
      if (header.continues !== (this.#message !== undefined)) {
        throw new UpstreamError('upstream-reset', 'frames of the WebSocket are in no order');
      }
      this.#message ??= this.#redaction.stream();
      this.#place(bytes);
    }
    if (this.#left === 0) this.#finish(header);
  }

  #takePayload(bytes: Buffer): Buffer {
    const frame = this.#frame as FrameHeader;
    const taken = bytes.subarray(0, this.#left);
    this.#left -= taken.length;
    if (frame.control) {
      this.#pending = Buffer.concat([this.#pending, taken]);
    } else {
      this.#came += taken.length;
      this.#give((this.#message as BodyChange).push(taken));
    }
    if (this.#left === 0) this.#finish(frame);
    return bytes.subarray(taken.length);
  }

  #finish({ control, last, size }: FrameHeader): void {
    this.#frame = undefined;
    if (control) {
      const payload = this.#redaction.text(this.#pending.toString('latin1', size));
      this.#place(Buffer.concat([this.#pending.subarray(0, size), Buffer.from(payload, 'latin1')]));
      this.#pending = NOTHING;
    } else if (last) {
      this.#give((this.#message as BodyChange).end());
      this.#message = undefined;
      this.#came = 0;
      this.#went = 0;
    }
  }

  /** Behind all payload that came before it. */
  #place(bytes: Buffer): void {
    if (this.#came === this.#went) return void this.#out.push(bytes);
    this.#behindBytes += bytes.length;
    if (this.#behindBytes > MOST_BEHIND) {
      throw new UpstreamError('upstream-reset', 'a message of the WebSocket is in too many pieces');
    }
    // It may be a part of a larger piece of memory, and may have to wait.
    this.#behind.push({ after: this.#came, bytes: Buffer.from(bytes) });
  }

  /** Payload that goes on, and whatever stands before and behind it. */
  #give(payload: Buffer): void {
    let rest = payload;
    let next = this.#behind[0];
    while (next !== undefined && next.after <= this.#went + rest.length) {
      const before = rest.subarray(0, next.after - this.#went);
      this.#out.push(before, next.bytes);
      this.#went += before.length;
      this.#behindBytes -= next.bytes.length;
      rest = rest.subarray(before.length);
      this.#behind.shift();
      next = this.#behind[0];
    }
    this.#out.push(rest);
    this.#went += rest.length;
  }
}
