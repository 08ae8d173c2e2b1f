import type { Config } from '../config/config.ts';
import { publishedInUse } from '../config/published-uses.ts';
import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
import { standingOf } from './held-set.ts';

/**
 * What there is to say of copies that are gone by away from any gateway.
 *
 * @param config from `recallLists`
 * @param now milliseconds since the epoch
 */
export function findListWarnings(config: Config, now: number): Diagnostic[] {
  return publishedInUse(config).flatMap((name) => {
    const set = config.sets.get(name);
    if (set === undefined) return [];
    const remedy = `fetch it: sekisho ranges show ${name}`;
    if (set.list === undefined) {
      const message = `there is no copy of the list of the set ${quote(name)}: here it holds nothing`;
      return [warning(set.at, message, remedy)];
    }
    if (standingOf(set, now) === 'current') return [];
    const seen = new Date(set.list.seenMs).toISOString().slice(0, 16).replace('T', ' ');
    const message = `the copy of the list of the set ${quote(name)} is too old: it was last seen ${seen} UTC`;
    return [warning(set.at, message, remedy)];
  });
}
