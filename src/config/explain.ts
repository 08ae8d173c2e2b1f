import type { z } from 'zod';
import { type Diagnostic, quote } from '../core/diagnostic.ts';
import type { Position } from './config.ts';
import { nearest } from './nearest.ts';
import type { Part, Path } from './yaml-document.ts';

type Issue = z.core.$ZodIssue;

/** What was parsed, and where its parts stand. */
export interface Located {
  readonly data: unknown;
  at(path: Path, part?: Part): Position;
  source(path: Path): string | undefined;
}

/** Adds the faults that a schema found, with their places. */
export function explain(issues: readonly Issue[], located: Located, faults: Diagnostic[]): void {
  for (const { issue, path } of flatten(issues, [], located.data)) {
    if (issue.code === 'unrecognized_keys') {
      const known = issue.message.split(' ');
      for (const key of issue.keys) {
        const at = located.at([...path, key], 'key');
        faults.push({ severity: 'fault', at, ...unknownKey(key, known) });
      }
    } else {
      const [message, remedy] = texts(issue, path, located);
      faults.push({ severity: 'fault', at: placeOf(issue, path, located), message, remedy });
    }
  }
}

/** A missing key is told where its map begins, a key that must not be there at the key. */
function placeOf(issue: Issue, path: Path, located: Located): Position {
  if (isMissing(located.data, path)) return located.at(path.slice(0, -1), 'key');
  const isKey =
    (issue.code === 'invalid_type' && issue.expected === 'never') ||
    (issue.code === 'custom' && issue.params?.part === 'key');
  return located.at(path, isKey ? 'key' : 'value');
}

interface Placed {
  readonly issue: Issue;
  readonly path: Path;
}

/** Replaces the issue of a union by those of the alternative that was meant: the one whose kind of value is there. */
function flatten(issues: readonly Issue[], base: Path, data: unknown): Placed[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...issue.path];
    if (issue.code !== 'invalid_union') return [{ issue, path }];
    const meant = issue.errors.find(
      (errors) => !errors.some((error) => error.path.length === 0 && isKind(error)),
    );
    const chosen = meant ?? issue.errors.at(-1);
    return chosen === undefined ? [{ issue, path }] : flatten(chosen, path, data);
  });
}

function isKind({ code }: Issue): boolean {
  return code === 'invalid_type' || code === 'invalid_value';
}

export function unknownKey(key: string, known: readonly string[]) {
  const hint = nearest(key, known);
  return {
    message: `the key ${quote(key)} is unknown`,
    remedy: hint === undefined ? `known here: ${known.join(', ')}` : `did you mean ${quote(hint)}?`,
  };
}

function texts(issue: Issue, path: Path, located: Located): readonly [string, string] {
  const label = labelOf(path);
  if (isMissing(located.data, path)) return [`${label} is missing`, 'add it'];
  const [message, remedy] = issue.message.split('\n') as [string, string?];
  if (remedy !== undefined) return [message, remedy];
  const value = valueAt(located.data, path);
  if (value === null) return [`${label} has no value`, 'give it one, or remove the key'];
  if (issue.code === 'invalid_type') return wrongKind(issue.expected, label, value, path, located);
  if (issue.code === 'invalid_value') {
    return [`${label} cannot be ${kindOf(value)}`, `write ${issue.values.join(' or ')}`];
  }
  return [`${label} is not valid`, message];
}

function wrongKind(
  expected: string,
  label: string,
  value: unknown,
  path: Path,
  located: Located,
): readonly [string, string] {
  const source = located.source(path);
  if (expected === 'string' && source !== undefined) {
    return [
      `${label} must be text, and ${source} without quotes is ${kindOf(value)}`,
      `write "${source}"`,
    ];
  }
  const wanted = KINDS[expected] ?? expected;
  return [
    `${label} must be ${wanted}, not ${kindOf(value)}`,
    REMEDIES[expected] ?? `write ${wanted}`,
  ];
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
};

const REMEDIES: Readonly<Record<string, string>> = {
  array: 'put it in brackets: [ … ]',
  object: 'write key: value pairs',
  record: 'write key: value pairs',
};

export function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return 'text';
  return typeof value === 'number' ? 'a number' : 'a boolean';
}

/** `"ports"`, or `an entry of "ports"`. */
function labelOf(path: Path): string {
  const last = path.findLastIndex((step) => typeof step === 'string');
  if (last < 0) return 'the file';
  const key = quote(String(path[last]));
  return last === path.length - 1 ? key : `an entry of ${key}`;
}

function isMissing(data: unknown, path: Path): boolean {
  return path.length > 0 && valueAt(data, path) === undefined;
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}
