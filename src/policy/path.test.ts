import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commonPath, compilePath, plainPath } from './path.ts';

const rows: readonly [glob: string, matches: readonly string[], misses: readonly string[]][] = [
  ['/a', ['/a'], ['/a/', '/ab', '/', '/A']],
  ['/a/*', ['/a/b', '/a/'], ['/a/b/c', '/a']],
  ['/a/**', ['/a/b', '/a/b/c', '/a/'], ['/a', '/ab']],
  ['/a*', ['/a', '/ab'], ['/a/b']],
  ['/a**', ['/a', '/ab', '/a/b'], ['/b']],
  ['/*/c', ['/b/c', '//c'], ['/a/b/c', '/c']],
  ['/a/**/c', ['/a/c', '/a/b/c', '/a/b/b/c'], ['/a/bc', '/ac', '/a/b/c/d']],
  ['/**/c', ['/c', '/a/c', '/a/b/c'], ['/ac', '/a/bc']],
  ['/a/**c', ['/a/c', '/a/b/c', '/a/bc'], ['/a/c/d']],
  ['/**', ['/', '/a/b'], ['*', '']],
  ['/a.b', ['/a.b'], ['/axb']],
  ['/*.json', ['/x.json', '/.json'], ['/x/y.json', '/x.jsonx']],
  ['/*-*/*', ['/a-b/c', '/-/'], ['/ab/c', '/a/b-c']],
];

describe('a path pattern', () => {
  for (const [glob, matches, misses] of rows) {
    const pattern = compilePath(glob);
    for (const path of matches) it(`${glob} takes ${path}`, () => assert.ok(pattern.matches(path)));
    for (const path of misses)
      it(`${glob} leaves ${path}`, () => assert.ok(!pattern.matches(path)));
  }

  it('matches a written letter however it is escaped', () => {
    for (const glob of ['/café', '/caf%c3%a9', '/caf%C3%A9']) {
      assert.ok(compilePath(glob).matches(plainPath('/caf%C3%a9') as string), glob);
    }
  });

  it('does not stall on a path that was made to', () => {
    const pattern = compilePath('/**a*a*a**a*a*b');
    assert.ok(!pattern.matches(`/${'a'.repeat(60_000)}`));
  });
});

describe('a path that two globs have in common', () => {
  const pairs: readonly [a: string, b: string, common: string | undefined][] = [
    ['/a', '/a', '/a'],
    ['/a', '/b', undefined],
    ['/a/*/c', '/a/b/*', '/a/b/c'],
    ['/a/*', '/*/b', '/a/b'],
    ['/a/**', '/b/**', undefined],
    ['/**', '/a/b/c', '/a/b/c'],
    ['/*', '/a/b', undefined],
    ['/**/x', '/a/**', '/a/x'],
    ['/*/b/**', '/*/b/**', '/x/b/x'],
  ];
  for (const [a, b, common] of pairs) {
    it(`${a} and ${b}: ${common ?? 'none'}`, () => {
      assert.equal(commonPath(a, b), common);
      assert.equal(commonPath(b, a) === undefined, common === undefined);
    });
  }
});
