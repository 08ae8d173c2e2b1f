import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { inspect } from 'node:util';
import type { Position, SecretRef } from '../config/config.ts';
import { ConfigError, diagnosticText } from '../core/diagnostic.ts';
import { readSecret, readSecrets } from './read.ts';

const dir = mkdtempSync(join(tmpdir(), 'sekisho-secret-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const at: Position = { file: 'sekisho.yaml', line: 3, column: 7 };
const env = (variable: string): SecretRef => ({ from: 'env', variable, at });
const literal = (value: string): SecretRef => ({ from: 'literal', value, at });

function file(name: string, content?: string | Uint8Array): SecretRef {
  const path = join(dir, name);
  if (content !== undefined) writeFileSync(path, content);
  return { from: 'file', path, at };
}

function faultOf(ref: SecretRef, variables: Record<string, string> = {}): string {
  try {
    readSecret(ref, { env: variables });
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${dir}/`, '');
    throw error;
  }
  return 'none';
}

test('a secret comes from the environment, a file or the configuration, and prints as its place', () => {
  const surroundings = { env: { KEY: 'a b' } };
  for (const [ref, value, print] of [
    [env('KEY'), 'a b', '[secret env KEY]'],
    [file('key', 'pässword'), 'pässword', '[secret file key]'],
    [literal('x'), 'x', '[secret literal at sekisho.yaml:3:7]'],
  ] as const) {
    const secret = readSecret(ref, surroundings);
    assert.equal(secret.reveal(), value);
    assert.equal(inspect(secret), print);
  }
});

test('one newline at the end of a file is dropped, and no other blank', () => {
  const read = (content: string) => readSecret(file('blank', content), { env: {} }).reveal();
  assert.equal(read('x\n'), 'x');
  assert.equal(read('x\r\n'), 'x');
  assert.equal(read(' x \n'), ' x ');
});

const BROKEN = 'has a line break or a NUL inside; keep it on one line';

test('what cannot be a secret is a fault at its reference', () => {
  const rows: [ref: SecretRef, fault: string][] = [
    [env('NONE'), 'the secret env NONE is missing; set NONE in the environment'],
    [env('EMPTY'), 'the secret env EMPTY is empty; give it a value'],
    [env('BROKEN'), `the secret env BROKEN ${BROKEN}`],
    [env('GARBLED'), 'the secret env GARBLED is not UTF-8; set it to plain text'],
    [file('none'), 'the secret file none is missing; create it, or correct the path'],
    [
      { from: 'file', path: `${dir}/.`, at },
      'the secret file . cannot be read (EISDIR); make it readable here',
    ],
    [file('empty', '\n'), 'the secret file empty is empty; give it a value'],
    [file('two', 'x\n\n'), `the secret file two ${BROKEN}`],
    [file('nul', 'x\0y'), `the secret file nul ${BROKEN}`],
    [
      file('binary', Uint8Array.of(0x78, 0xff)),
      'the secret file binary is not UTF-8; save it as UTF-8 text',
    ],
    [
      file('large', 'x'.repeat(65 * 1024)),
      'the secret file large is larger than 64KiB; name a file with one secret',
    ],
    [literal(''), 'the secret literal at sekisho.yaml:3:7 is empty; give it a value'],
    [literal('hunter\r2'), `the secret literal at sekisho.yaml:3:7 ${BROKEN}`],
  ];
  const variables = { EMPTY: '', BROKEN: 'hunter\n2', GARBLED: 'hunter\ufffd' };
  for (const [ref, fault] of rows) {
    assert.equal(faultOf(ref, variables), `sekisho.yaml:3:7: ${fault}`);
  }
});

test('the faults of all secrets come at once', () => {
  const refs = [env('A'), { ...env('B'), at: { ...at, line: 1 } }, literal('x')];
  assert.throws(
    () => readSecrets(refs, { env: {} }),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.faults.map(diagnosticText), [
        'sekisho.yaml:1:7: the secret env B is missing; set B in the environment',
        'sekisho.yaml:3:7: the secret env A is missing; set A in the environment',
      ]);
      return true;
    },
  );
});

test('every reference finds its own secret', () => {
  const refs = [env('A'), env('B'), env('A')];
  const secrets = readSecrets(refs, { env: { A: 'a', B: 'b' } });
  assert.deepEqual(
    refs.map((ref) => secrets.get(ref)?.reveal()),
    ['a', 'b', 'a'],
  );
});
