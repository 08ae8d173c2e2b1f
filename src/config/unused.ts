import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
import type { Config } from './config.ts';
import type { Merged } from './merge.ts';
import type { Names, NamingSection } from './names.ts';

/** Principals, groups, sets, exits and credentials that nothing refers to. */
export function findUnused(config: Config, merged: Merged, names: Names): Diagnostic[] {
  const used: Record<NamingSection, ReadonlySet<string>> = {
    ...names.used,
    ...usedCallers(config, names),
  };
  return Object.entries(used).flatMap(([section, words]) =>
    Object.keys(merged.map(section))
      .filter((name) => !words.has(name))
      .map((name) => {
        const message = `nothing uses the ${section.slice(0, -1)} ${quote(name)}`;
        return warning(merged.at([section, name], 'key'), message, 'use it or remove it');
      }),
  );
}

/** Whom the rules speak of, directly or by way of groups. */
function usedCallers({ rules, groups, principals }: Config, names: Names) {
  const used = { principals: new Set<string>(), groups: new Set<string>() };
  const waiting = rules.flatMap((rule) => {
    return rule.effect === 'deny' ? [...rule.principals, ...rule.except] : rule.principals;
  });
  if (rules.some((rule) => rule.effect === 'allow' && rule.principals.includes('*'))) {
    for (const { name } of principals) used.principals.add(name);
  }
  for (let word = waiting.pop(); word !== undefined; word = waiting.pop()) {
    const members = groups.get(word);
    if (members === undefined) used.principals.add(word);
    else if (!used.groups.has(word)) {
      used.groups.add(word);
      for (const member of members) {
        if (!member.includes('*')) waiting.push(member);
        else for (const name of names.principalsLike(member)) used.principals.add(name);
      }
    }
  }
  return used;
}
