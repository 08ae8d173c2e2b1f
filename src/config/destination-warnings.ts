import { parse } from 'tldts';
import { type Diagnostic, type Position, quote, warning } from '../core/diagnostic.ts';
import type { Config, DestinationPattern } from './config.ts';
import type { Merged } from './merge.ts';

/** What rules allow although anybody can have a host there: public suffixes (`.com`) and shared hosting (`.github.io`). */
export function findBroadDestinations({ rules, sets }: Config, merged: Merged): Diagnostic[] {
  const allowed = new Set<string>();
  const inRules = rules.flatMap(({ effect, to }, i) => {
    if (effect === 'deny') return [];
    return to.flatMap((pattern, j) => {
      if (pattern.kind === 'set') allowed.add(pattern.set);
      return explainBroad(pattern, () => merged.at(['rules', i, 'to', j]));
    });
  });
  const inSets = [...allowed].flatMap((name) => {
    const set = sets.get(name);
    return (set?.entries ?? []).flatMap((entry) =>
      explainBroad(entry, () => set?.at as Position, `in the set ${quote(name)}, `),
    );
  });
  return [...inRules, ...inSets];
}

function explainBroad(pattern: DestinationPattern, at: () => Position, prefix = ''): Diagnostic[] {
  if (pattern.kind !== 'suffix') return [];
  const { name } = pattern.suffix;
  const { publicSuffix, isIcann, isPrivate } = parse(name, { allowPrivateDomains: true });
  if (publicSuffix !== name || !(isIcann || isPrivate)) return [];
  const text = quote(pattern.apex ? `.${name}` : `*.${name}`);
  const message = isPrivate
    ? `${text} is shared hosting, where every customer has a host`
    : `${text} is a public suffix, where everybody can have a host`;
  return [warning(at(), prefix + message, 'name the hosts that are meant')];
}
