import type { BodyChange } from '../core/injection.ts';
import type { BodyReader } from '../wire/http1/body.ts';
import type { Fields } from '../wire/http1/fields.ts';
import { CHUNK_END, chunkHead } from '../wire/http1/writer.ts';
import type { Channel } from './channel.ts';

/** How one body goes on. */
export interface Passage {
  /** Whether it is sent in chunks; else the payload goes out as it is. */
  readonly chunked: boolean;
  /** Undefined: the payload goes on as it came. */
  readonly change: BodyChange | undefined;
  /** Is told the size of every slice of payload that came. */
  count(bytes: number): void;
  /** What stands behind the chunks, with those trailers that go on. */
  lastChunk(trailers: Fields | undefined): Buffer;
}

/**
 * Passes one body on as it arrives, never faster than `to` sends it.
 *
 * @returns undefined where all of it was there already, as of most bodies it is, and has gone on
 * @throws FramingError when the body is malformed or cut, ChannelLost when `from` breaks
 */
export function pumpBody(
  from: Channel,
  body: BodyReader,
  to: Channel,
  passage: Passage,
): Promise<void> | undefined {
  const { chunked, change } = passage;
  const emit = (payload: Buffer): void => {
    passage.count(payload.length);
    writePayload(to, change === undefined ? payload : change.push(payload), chunked);
  };
  const step = (chunk: Buffer): true | undefined => {
    const used = body.push(chunk, emit);
    if (used < chunk.length) from.unread(chunk.subarray(used));
    if (body.done) return true;
    from.paceTo(to, chunk.length);
    return undefined;
  };
  const finish = (): undefined => {
    if (change !== undefined) writePayload(to, change.end(), chunked);
    if (chunked) to.write(passage.lastChunk(body.trailers));
  };
  if (!body.done) from.takeReady(step);
  return body.done ? finish() : pumpRest(from, body, step).then(finish);
}

async function pumpRest(
  from: Channel,
  body: BodyReader,
  step: (chunk: Buffer) => true | undefined,
): Promise<void> {
  while (!body.done) {
    const complete = await from.take(step);
    if (complete === undefined) body.end();
  }
}

/** @param chunked then an empty payload, which would be the end, must not be written */
export function writePayload(to: Channel, payload: Buffer, chunked: boolean): void {
  if (payload.length === 0) return;
  if (!chunked) return to.write(payload);
  to.together(() => {
    to.write(chunkHead(payload.length));
    to.write(payload);
    to.write(CHUNK_END);
  });
}
