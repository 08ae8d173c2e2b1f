import type { Fields } from '../../wire/http1/fields.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import { HeadWriter, LAST_CHUNK } from '../../wire/http1/writer.ts';

// RFC 9110 6.5.1: what frames, routes, authenticates or says how to read a message comes too late behind it, and some
// servers would take it for a field of the head all the same.
const NEVER: ReadonlySet<string> = new Set(
  `age allow authorization cache-control content-encoding content-length content-range content-type cookie date expect
  expires forwarded from host if-match if-modified-since if-none-match if-range if-unmodified-since location max-forwards
  origin pragma range referer retry-after set-cookie te trailer transfer-encoding upgrade vary via warning
  www-authenticate`.split(/\s+/),
);

/** Whether a client says, to this hop, that it takes fields behind a body (RFC 9110 10.1.4). */
export function takesTrailers({ fields }: RequestHead): boolean {
  if (!fields.has('te')) return false;
  return fields.list('te').includes('trailers') && fields.list('connection').includes('te');
}

/**
 * The end of a chunked body with its trailers, where they go on.
 *
 * @param drops which fields would not go on in the head; here they do not either
 */
export function lastChunkWith(
  trailers: Fields | undefined,
  drops: (lowerName: string) => boolean,
): Buffer {
  if (trailers === undefined) return LAST_CHUNK;
  return new HeadWriter('0').keep(trailers, (name) => NEVER.has(name) || drops(name)).toBuffer();
}
