import { Duplex, pipeline } from 'node:stream';
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib';
import { UpstreamError } from '../core/refusal.ts';
import type { BodyReader } from '../wire/http1/body.ts';
import { type Passage, writePayload } from './bodies.ts';
import type { Channel } from './channel.ts';

const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** One upon the other. No honest server applies as many. */
const MOST_CODINGS = 3;

/** Whether all codings of a body are known here (RFC 9110 8.4.1). */
export function canDecode(codings: readonly string[]): boolean {
  return (
    codings.length <= MOST_CODINGS && codings.every((coding) => Object.hasOwn(DECODERS, coding))
  );
}

/**
 * What undoes the codings of a body.
 *
 * @param codings in the order in which they were applied; at least one, and known here
 */
export function decoderFor(codings: readonly string[]): Duplex {
  const decoders = codings.toReversed().map((coding) => (DECODERS[coding] as () => Duplex)());
  const [writable, readable] = [decoders[0] as Duplex, decoders.at(-1) as Duplex];
  if (writable === readable) return writable;
  // What breaks one of them breaks all, and is told by what is made of them.
  pipeline(decoders, () => {});
  return Duplex.from({ writable, readable });
}

/**
 * As `pumpBody`, for a body that is undone a coding of before it is changed. However large it becomes, no more of it is
 * held than the decoder's own window and what `to` has not sent.
 *
 * @throws as `pumpBody`; UpstreamError for what the decoder cannot read
 */
export async function pumpDecoded(
  from: Channel,
  body: BodyReader,
  decoder: Duplex,
  to: Channel,
  passage: Passage,
): Promise<void> {
  const { chunked, change } = passage;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {}); // it is raced against below
  decoder.on('error', (error) => {
    failed.reject(
      new UpstreamError('upstream-reset', `a coding that does not hold: ${error.message}`),
    );
  });
  decoder.on('data', (decoded: Buffer) => {
    writePayload(to, change?.push(decoded) ?? decoded, chunked);
    if (!to.socket.writableNeedDrain) return;
    decoder.pause();
    to.drained().then(() => decoder.resume(), failed.reject);
  });
  const ended = new Promise<void>((resolve) => decoder.on('end', resolve));
  try {
    while (!body.done)
      await Promise.race([decodePiece(from, body, decoder, passage), failed.promise]);
    decoder.end();
    await Promise.race([ended, failed.promise]);
  } finally {
    decoder.destroy();
  }
  if (change !== undefined) writePayload(to, change.end(), chunked);
  if (chunked) to.write(passage.lastChunk(body.trailers));
}

/** One read of the connection. Resolves once the decoder has taken it. */
async function decodePiece(
  from: Channel,
  body: BodyReader,
  decoder: Duplex,
  passage: Passage,
): Promise<void> {
  const pieces: Buffer[] = [];
  const read = await from.take((chunk) => {
    const used = body.push(chunk, (payload) => {
      passage.count(payload.length);
      pieces.push(payload);
    });
    if (used < chunk.length) from.unread(chunk.subarray(used));
    return true;
  });
  if (read === undefined) body.end();
  for (const piece of pieces) await new Promise((taken) => decoder.write(piece, taken));
}
