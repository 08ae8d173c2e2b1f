import { z } from 'zod';
import { jsonOf } from '../../core/json.ts';
import { RangesError } from '../ranges-error.ts';

/** AWS says that its list has changed. */
export interface Announcement {
  readonly token: bigint;
  /** In hexadecimal: what is at `url` and has another one is a cache that lags behind. */
  readonly md5: string;
  readonly url: string;
}

/** Where the list is, whatever a message says. */
const HOST = 'ip-ranges.amazonaws.com';

const shape = z.object({
  synctoken: z.string().regex(/^\d{1,20}$/),
  md5: z.string().regex(/^[0-9a-f]{32}$/i),
  url: z.string(),
});

/** @throws RangesError `ranges-refused` */
export function parseAnnouncement(text: string): Announcement {
  const parsed = shape.safeParse(jsonOf(text));
  if (!parsed.success) {
    throw new RangesError(
      'ranges-refused',
      'the message announces no list with token, md5 and url',
    );
  }
  const { synctoken, md5, url } = parsed.data;
  const place = URL.parse(url);
  if (place?.protocol !== 'https:' || place.host !== HOST) {
    throw new RangesError(
      'ranges-refused',
      `the message names a list that is not at https://${HOST}`,
    );
  }
  return { token: BigInt(synctoken), md5: md5.toLowerCase(), url: place.href };
}
