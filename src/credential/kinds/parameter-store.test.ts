import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestTo } from '../../../test/support/injected-request.ts';
import { Secret } from '../../core/secret.ts';
import { parameterStoreChanges, readParameters } from './parameter-store.ts';

function changesOf(parameters: Record<string, string>, url = 'https://host.example/a?b=1') {
  const secrets = Object.entries(parameters).map(([name, value]): [string, Secret] => [
    name,
    new Secret(name, value),
  ]);
  return parameterStoreChanges(readParameters(new Map(secrets)), requestTo(url));
}

test('headers/… sets headers, and the request stays as it is', () => {
  assert.deepEqual(changesOf({ 'headers/Authorization': 'token abc', 'headers/x-key': 'k' }), {
    set: [
      ['Authorization', 'token abc'],
      ['x-key', 'k'],
    ],
    drop: [],
  });
});

test('basic/… wins over a header of that name, and counts only with a user name', () => {
  const both = {
    'headers/authorization': 'token abc',
    'basic/username': 'u',
    'basic/password': 'p',
  };
  assert.deepEqual(changesOf(both).set, [['Authorization', 'Basic dTpw']]);
  assert.deepEqual(changesOf({ 'basic/username': 'u' }).set, [['Authorization', 'Basic dTo=']]);
  const withoutUser = { 'headers/Authorization': 'token abc', 'basic/password': 'p' };
  assert.deepEqual(changesOf(withoutUser).set, [['Authorization', 'token abc']]);
});

test('rewrite/path replaces the path, and the query with it', () => {
  const path = (value: string) => changesOf({ 'rewrite/path': value }).target;
  assert.equal(path('very/%20secret%2f/path'), '/very/%20secret%2f/path');
  assert.equal(path('/services/T0/B0/xyz'), '/services/T0/B0/xyz');
  assert.equal(path('/hook?key=1'), '/hook?key=1');
  assert.equal(path('a b'), '/a%20b');
});

test('queries/… sets parameters, in place of the client’s, and writes the query anew', () => {
  const target = (parameters: Record<string, string>, url: string) =>
    changesOf(parameters, url).target;
  assert.equal(
    target({ 'queries/key': 'very secret%!#WE^T&*' }, 'https://h.example/p'),
    '/p?key=very+secret%25%21%23WE%5ET%26%2A',
  );
  assert.equal(
    target({ 'queries/key': 'k' }, 'https://h.example/p?z=1&key=mine&a=%20x&k%65y=mine'),
    '/p?a=+x&key=k&z=1',
  );
  assert.equal(
    target({ 'queries/key': 'k', 'rewrite/path': '/r?b=1' }, 'https://h.example/p?z=1'),
    '/r?b=1&key=k',
  );
});

test('a path that is only rewritten in part by its spelling stays as sent', () => {
  for (const path of ['/foo%20bar', '/foo%2fbar']) {
    const changes = changesOf({ 'headers/x': 'y' }, `https://h.example${path}`);
    assert.equal(changes.target, undefined);
  }
});

test('a path that leads to another host is refused', () => {
  for (const path of [
    '//evil.example/',
    '/\\evil.example',
    '\\\\evil.example',
    '/a\n/b',
    '/..//evil.example',
  ]) {
    assert.throws(() => changesOf({ 'rewrite/path': path }), { code: 'invalid' }, path);
  }
});

test('parameters of no known type sign nothing, so nothing is sent', () => {
  for (const name of [
    'header/Authorization',
    'Headers/Authorization',
    'basic/password',
    'rewrite/Path',
    'other',
  ]) {
    assert.throws(() => changesOf({ [name]: 'x' }), { code: 'invalid' }, name);
  }
});

test('no parameter breaks out of its header or says how the message is framed', () => {
  for (const [name, value] of [
    ['headers/Authorization', 'a\r\nX-Other: b'],
    ['headers/Authorization', '日本'],
    ['headers/Host', 'evil.example'],
    ['headers/Transfer-Encoding', 'chunked'],
    ['headers/Content-Length', '0'],
    ['headers/a/b', 'x'],
  ] as const) {
    assert.throws(() => changesOf({ [name]: value }), { code: 'invalid' }, name);
  }
});
