import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { load } from '../src/config/load.ts';
import { jsonSchema } from '../src/config/schema.ts';
import { checkExpectations } from '../src/policy/expectations.ts';
import { compile } from '../src/policy/policy.ts';
import { ROOT } from './support/sources.ts';

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

const NOW = Date.parse('2026-11-01T00:00:00Z');

const configuration = read('docs/configuration.md');

for (const page of ['README.md', 'docs/configuration.md']) {
  const blocks = [...read(page).matchAll(/^```yaml\n(version: 1\n[\s\S]*?)^```/gm)];
  for (const [i, [, text = '']] of blocks.entries()) {
    test(`configuration ${i + 1} of ${page} loads without a fault, and means what it expects`, () => {
      const { config } = load('sekisho.yaml', {
        env: { EXIT_ADDRESS: '10.0.0.9' },
        hostname: 'gateway',
        readFile: () => Buffer.from(text),
        glob: () => [],
      });
      assert.deepEqual(checkExpectations(compile(config), config.expect, NOW), []);
    });
  }
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly not?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly type?: string;
  readonly minItems?: number;
  readonly default?: unknown;
}

interface Key {
  readonly path: string;
  readonly default: unknown;
}

/** The keys of a section as the page writes them: `drain.notice`, `identify[].header`. */
function keysOf(section: Schema): Key[] {
  const { additionalProperties: entry, items } = section;
  const shape = items ?? (typeof entry === 'object' ? entry : section);
  return Object.entries(shape.properties ?? {}).flatMap(([name, value]): Key[] => {
    if (value.not !== undefined) return [];
    const inner = Object.entries(value.items?.properties ?? {}).filter(([, { not }]) => !not);
    if (inner.length > 0) {
      return inner.map(([key]) => ({ path: `${name}[].${key}`, default: undefined }));
    }
    // A reference to a secret has a section of its own.
    if (value.properties === undefined || value.properties.env !== undefined) {
      return [{ path: name, default: value.default }];
    }
    return keysOf({ ...value, additionalProperties: false }).map((key) => ({
      path: `${name}.${key.path}`,
      default: key.default,
    }));
  });
}

/** The rows of a section's first table, by the keys in their first column. */
function rowsOf(section: string): Map<string, string> {
  const text = configuration.split(/^#{2,3} /m).find((part) => part.startsWith(`${section}\n`));
  const table = /(?:^\|.*\n)+/m.exec(text ?? '')?.[0] ?? '';
  const rows = table.split('\n').flatMap((row) => {
    const [, first = ''] = row.split('|');
    return [...first.matchAll(/`([^`]+)`/g)].map(([, key = '']): [string, string] => [key, row]);
  });
  return new Map(rows);
}

const sections = (jsonSchema() as Schema).properties ?? {};

for (const [name, section] of Object.entries(sections)) {
  const keys = keysOf(section);
  if (keys.length === 0 || section.not !== undefined) continue;
  test(`docs/configuration.md has every key of ${name}, no other, and its default`, () => {
    const rows = rowsOf(name);
    assert.deepEqual([...rows.keys()].sort(), keys.map(({ path }) => path).sort());
    for (const { path, default: value } of keys) {
      if (value === undefined) continue;
      assert.ok(rows.get(path)?.includes(`\`${String(value)}\``), `${path}: default ${value}`);
    }
  });
}

test('docs/configuration.md has every section of the language that is enforced', () => {
  const enforced = Object.entries(sections).filter(([, { not }]) => not === undefined);
  const names = enforced.map(([name]) => name);
  const headings = [...configuration.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
  const head = ['version', 'include', 'owner'];
  assert.deepEqual(headings.sort(), names.filter((name) => !head.includes(name)).sort());
});

/** The keys whose list may be empty, each by its last name. */
function mayBeEmpty(schema: Schema, key: string): string[] {
  const { properties = {}, additionalProperties: entry, items, anyOf = [] } = schema;
  return [
    ...(schema.type === 'array' && schema.minItems === undefined ? [key] : []),
    ...Object.entries(properties).flatMap(([name, value]) => mayBeEmpty(value, name)),
    ...[items, typeof entry === 'object' ? entry : undefined, ...anyOf].flatMap((inner) =>
      inner === undefined ? [] : mayBeEmpty(inner, key),
    ),
  ];
}

test('docs/configuration.md names the lists that may be empty', () => {
  const [, told = ''] =
    /A list that is written must not be empty([^.]*)\./.exec(configuration) ?? [];
  const words = new Set(told.match(/\w+/g));
  const keys = new Set(mayBeEmpty(jsonSchema(), ''));
  assert.deepEqual([...keys].sort(), ['expect', 'groups', 'include', 'rules', 'to']);
  for (const key of keys) assert.ok(words.has(key === 'groups' ? 'group' : key), key);
});
