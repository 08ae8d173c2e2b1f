import type { BodyChange } from '../core/injection.ts';
import type { BodyReader } from '../wire/http1/body.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK } from '../wire/http1/writer.ts';
import type { Channel } from './channel.ts';

/**
 * Passes one body on as it arrives, never faster than `to` sends it.
 *
 * @returns undefined where all of it was there already, as of most bodies it is, and has gone on
 * @param chunked whether `to` is sent chunks; else the payload goes out as it is
 * @param count is told the size of every payload slice
 * @param change undefined: it goes on as it is
 * @throws FramingError when the body is malformed or cut, ChannelLost when `from` breaks
 */
export function pumpBody(
  from: Channel,
  body: BodyReader,
  to: Channel,
  chunked: boolean,
  count: (bytes: number) => void,
  change?: BodyChange,
): Promise<void> | undefined {
  const emit = (payload: Buffer): void => {
    count(payload.length);
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
    if (chunked) to.write(LAST_CHUNK);
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
