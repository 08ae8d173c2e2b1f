import type { BodyReader } from '../wire/http1/body.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK } from '../wire/http1/writer.ts';
import type { Channel } from './channel.ts';

/**
 * Passes one body on as it arrives, never faster than `to` sends it.
 *
 * @param chunked whether `to` is sent chunks; else the payload goes out as it is
 * @param count is told the size of every payload slice
 * @throws FramingError when the body is malformed or cut, ChannelLost when `from` breaks
 */
export async function pumpBody(
  from: Channel,
  body: BodyReader,
  to: Channel,
  chunked: boolean,
  count: (bytes: number) => void,
): Promise<void> {
  const emit = (payload: Buffer): void => {
    count(payload.length);
    if (chunked) writeChunk(to, payload);
    else to.write(payload);
  };
  while (!body.done) {
    const complete = await from.take((chunk) => {
      const used = body.push(chunk, emit);
      if (used < chunk.length) from.unread(chunk.subarray(used));
      if (body.done) return true;
      from.paceTo(to, chunk.length);
      return undefined;
    });
    if (complete === undefined) body.end();
  }
  if (chunked) to.write(LAST_CHUNK);
}

function writeChunk(to: Channel, payload: Buffer): void {
  to.together(() => {
    to.write(chunkHead(payload.length));
    to.write(payload);
    to.write(CHUNK_END);
  });
}
