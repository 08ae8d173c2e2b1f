import type { PublishedList } from '../published.ts';
import { RangesError } from '../ranges-error.ts';
import { publishedNetwork } from './network.ts';

/** One network to a line, comments from `#` on. A last line without its end may be a torn one: it is refused. */
export function readPlain(text: string): PublishedList {
  const rows = text.split('\n');
  if (rows.at(-1) !== '') {
    throw new RangesError('ranges-refused', 'its last line has no end: it may have been cut off');
  }
  return {
    token: undefined,
    prefixes: rows.flatMap((row) => {
      const network = row.replace(/#.*$/, '').trim();
      return network === '' ? [] : [{ network: publishedNetwork(network), labels: {} }];
    }),
  };
}
