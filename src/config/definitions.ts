import { type Diagnostic, Fault, positionText, quote } from '../core/diagnostic.ts';
import type { Merged } from './merge.ts';
import { type Definition, NAMING_SECTIONS, Names, parseName, parseWord } from './names.ts';
import { notYetText } from './shape.ts';
import type { Path } from './yaml-document.ts';

const PARSERS = {
  listeners: parseWord,
  principals: parsePrincipalName,
  groups: parseName,
  sets: parseWord,
  exits: parseWord,
  credentials: parseWord,
} as const;

/** @throws Fault */
function parsePrincipalName(name: string): string {
  if (!/[{}]/.test(name)) return parseName(name);
  const [message, remedy] = notYetText(name).split('\n') as [string, string];
  throw new Fault(message, remedy);
}

/** Everything that the files define by name, and the faults in these names. */
export function collectNames(merged: Merged, complete: boolean, faults: Diagnostic[]): Names {
  const names = new Names();
  names.complete = complete;
  for (const section of NAMING_SECTIONS) {
    for (const name of Object.keys(merged.map(section))) {
      names[section].set(name, definition(merged, [section, name]));
    }
  }
  for (const [section, parse] of Object.entries(PARSERS)) {
    for (const name of Object.keys(merged.map(section))) {
      check(() => parse(name), merged, [section, name], faults);
    }
  }
  for (const [name, group] of names.groups) {
    const principal = names.principals.get(name);
    if (principal === undefined) continue;
    const message = `${quote(name)} is also a principal, at ${positionText(principal.at())}`;
    faults.push(new Fault(message, 'give one of the two another name').at(group.at()));
  }
  checkRuleNames(merged, faults);
  return names;
}

function definition(merged: Merged, path: Path): Definition {
  return { at: () => merged.at(path, 'key'), fileOwner: merged.fileOwner(path) };
}

function check(parse: () => unknown, merged: Merged, path: Path, faults: Diagnostic[]): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    faults.push(error.at(merged.at(path, 'key')));
  }
}

function checkRuleNames(merged: Merged, faults: Diagnostic[]): void {
  const seen = new Map<string, number>();
  for (const [i, rule] of merged.list('rules').entries()) {
    const name = (rule as { name?: unknown } | null)?.name;
    if (typeof name !== 'string') continue;
    const first = seen.get(name);
    if (first === undefined) {
      seen.set(name, i);
      continue;
    }
    const other = positionText(merged.at(['rules', first, 'name']));
    const fault = new Fault(
      `the rule name ${quote(name)} is also at ${other}`,
      'give each rule a name of its own',
    );
    faults.push(fault.at(merged.at(['rules', i, 'name'])));
  }
}
