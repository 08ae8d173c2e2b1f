import { type Diagnostic, Fault, quote } from '../core/diagnostic.ts';
import type { Merged } from './merge.ts';
import { type Names, RESERVED } from './names.ts';
import type { Source } from './sources.ts';
import type { Path } from './yaml-document.ts';

const PERMITTED: readonly string[] = [
  'version',
  'include',
  'owner',
  'principals',
  'groups',
  'sets',
  'rules',
  'expect',
];

/**
 * What a file with an `owner` may do: define things of its own and make rules for its own principals. Whoever may write
 * such a file can neither touch the gateway nor grant or take anything from the principals of others.
 */
export function checkOwnership(
  sources: readonly Source[],
  merged: Merged,
  names: Names,
  faults: Diagnostic[],
): void {
  for (const { document, owner } of sources) {
    if (owner === undefined) continue;
    for (const key of Object.keys(document.data ?? {})) {
      if (PERMITTED.includes(key)) continue;
      const message = `a file with an owner cannot hold ${quote(key)}`;
      faults.push(new Fault(message, 'move it to the main file').at(document.at([key], 'key')));
    }
  }
  for (const [name, members] of Object.entries(merged.map('groups'))) {
    checkList(members, ['groups', name], merged, names, faults);
  }
  for (const [i, rule] of merged.list('rules').entries()) {
    for (const key of ['allow', 'deny', 'except']) {
      const callers = (rule as Record<string, unknown> | null)?.[key];
      checkList(callers, ['rules', i, key], merged, names, faults);
    }
    checkOwner(rule, ['rules', i], merged, faults);
  }
  for (const [name, principal] of Object.entries(merged.map('principals'))) {
    checkOwner(principal, ['principals', name], merged, faults);
  }
  checkJoining(merged, names, faults);
}

/** A glob of somebody else's group must not take in what a limited file defines: its author would choose the name. */
function checkJoining(merged: Merged, names: Names, faults: Diagnostic[]): void {
  for (const [group, members] of Object.entries(merged.map('groups'))) {
    // In a limited file the glob itself is the fault.
    if (merged.fileOwner(['groups', group]) !== undefined) continue;
    const globs = Array.isArray(members)
      ? members.filter((word) => String(word).includes('*'))
      : [];
    for (const glob of globs.map(String)) {
      for (const name of names.principalsLike(glob)) {
        const owner = names.principals.get(name)?.fileOwner;
        if (owner === undefined) continue;
        const message = `${quote(name)} of ${quote(owner)} would join the group ${quote(group)} by its glob ${quote(glob)}`;
        const remedy = 'give it another name, or have the group name it without a glob';
        faults.push(new Fault(message, remedy).at(merged.at(['principals', name], 'key')));
      }
    }
  }
}

function checkList(
  words: unknown,
  path: Path,
  merged: Merged,
  names: Names,
  faults: Diagnostic[],
): void {
  const owner = merged.fileOwner(path);
  if (owner === undefined || !Array.isArray(words)) return;
  for (const [i, word] of words.entries()) {
    if (typeof word !== 'string') continue;
    const foreign = foreignName(word, owner, names);
    if (foreign === undefined) continue;
    const message = `${quote(foreign)} does not belong to ${quote(owner)}, the owner of this file`;
    const remedy = 'name principals and groups that files of this owner define';
    faults.push(new Fault(message, remedy).at(merged.at([...path, i])));
  }
}

/** What a word names that is not the owner's; undefined also for what nobody defines, which is told elsewhere. */
function foreignName(word: string, owner: string, names: Names): string | undefined {
  if (RESERVED.has(word)) return word;
  const isForeign = (name: string) => {
    const definition = names.principals.get(name) ?? names.groups.get(name);
    return definition !== undefined && definition.fileOwner !== owner;
  };
  return (word.includes('*') ? names.principalsLike(word) : [word]).find(isForeign);
}

function checkOwner(entry: unknown, path: Path, merged: Merged, faults: Diagnostic[]): void {
  const fileOwner = merged.fileOwner(path);
  const written = (entry as { owner?: unknown } | null)?.owner;
  if (fileOwner === undefined || typeof written !== 'string' || written === fileOwner) return;
  const message = `what this file defines belongs to ${quote(fileOwner)}, its owner`;
  faults.push(new Fault(message, 'remove this owner').at(merged.at([...path, 'owner'])));
}
