import type { RangesProvider } from '../../config/ranges-config.ts';
import type { PublishedList } from '../published.ts';
import { RangesError } from '../ranges-error.ts';
import { readAws } from './aws.ts';
import { readAzure } from './azure.ts';
import { readCloudflare } from './cloudflare.ts';
import { readFastly } from './fastly.ts';
import { readGithub } from './github.ts';
import { readGoogle } from './google.ts';
import { readPlain } from './plain.ts';

/** One entry for each form of list. */
const LISTS: Readonly<Record<RangesProvider, (text: string) => PublishedList>> = {
  aws: readAws,
  azure: readAzure,
  cloudflare: readCloudflare,
  fastly: readFastly,
  github: readGithub,
  google: readGoogle,
  plain: readPlain,
};

/** @throws RangesError `ranges-refused` for what is torn, of another form, or empty */
export function readList(provider: RangesProvider, text: string): PublishedList {
  const list = LISTS[provider](text);
  if (list.prefixes.length > 0) return list;
  throw new RangesError('ranges-refused', 'it has no networks at all');
}
