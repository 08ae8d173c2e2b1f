import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { throttled } from '../support/aws/aws-error.ts';
import { startSigning } from '../support/signing-function.ts';
import { needsPort80, onPort80 } from '../support/upstreams.ts';

/** The convention as ssm-sign-proxy has it, from an event to the request that arrives. On port 443: no other has parameters. */
const skip = needsPort80();

async function stored(t: TestContext, parameters: Readonly<Record<string, string>>) {
  const { host } = onPort80();
  const scene = await startSigning(t, {
    address: host,
    credential: 'convention: parameter-store, prefix: /production',
  });
  for (const [name, value] of Object.entries(parameters))
    scene.parameters.put(`/production/${host}/${name}`, value);
  return scene;
}

const HEADER = { 'headers/Authorization': 'token of-the-host' };
const QUERY = { 'queries/key': 'very secret%!#WE^T&*' };

for (const [label, parameters, sent, arrives] of [
  ['a space in the path', HEADER, '/foo%20bar', '/foo%20bar'],
  ['a slash in the path', HEADER, '/foo%2fbar', '/foo%2fbar'],
  [
    'a path in place of the own',
    { 'rewrite/path': 'very/%20secret%2f/path' },
    '/p?a=1',
    '/very/%20secret%2f/path',
  ],
  [
    'a path with a query of its own, and a parameter besides',
    { 'rewrite/path': '/r?b=1', ...QUERY },
    '/p?z=1',
    '/r?b=1&key=very+secret%25%21%23WE%5ET%26%2A',
  ],
  [
    'a parameter of the query',
    QUERY,
    '/p?z=%20x&key=mine',
    '/p?key=very+secret%25%21%23WE%5ET%26%2A&z=+x',
  ],
] as const) {
  test(`${label} arrives as the convention says`, { skip }, async (t) => {
    const { ask, upstream } = await stored(t, parameters);
    const [path = '', query] = sent.split('?');
    assert.equal((await ask({ path, query })).status, 200);
    assert.equal(upstream.requests[0]?.split(' ')[1], arrives);
  });
}

test('headers are set in place of the client’s, and Basic wins over them', { skip }, async (t) => {
  const { ask, upstream, authority } = await stored(t, {
    ...HEADER,
    'headers/x-key': 'k',
    'basic/username': 'u',
    'basic/password': 'p',
    'unknown/type': 'x',
  });
  const headers = [
    ['Host', authority],
    ['Authorization', 'mine'],
    ['X-Key', 'mine'],
  ] as const;
  assert.equal((await ask({ headers })).status, 200);
  const lines = upstream.requests[0]?.split('\r\n') ?? [];
  const named = (name: RegExp) => lines.filter((line) => name.test(line));
  assert.deepEqual(named(/^authorization:/i), ['Authorization: Basic dTpw']);
  assert.deepEqual(named(/^x-key:/i), ['x-key: k']);
});

test('all pages are read, and one that fails leaves nothing of the others', { skip }, async (t) => {
  const { ask, upstream, parameters, aws } = await stored(t, { ...HEADER, ...QUERY });
  parameters.pageSize = 1;
  aws.disturbances.fail('GetParametersByPath', throttled(), (number) => number === 2);
  const failed = await ask({});
  assert.equal(failed.status, 502);
  assert.equal(upstream.requests.length, 0);
  assert.equal((await ask({})).status, 200);
  assert.match(upstream.requests[0] ?? '', /^GET \/\?key=very.* HTTP[\s\S]*token of-the-host/);
});

for (const [label, parameters, status, reason] of [
  ['nothing is stored', {}, 407, 'credential-missing'],
  ['nothing of a known type is stored', { other: 'x' }, 502, 'credential-unavailable'],
  [
    'a path leads to another host',
    { 'rewrite/path': '//evil.example/' },
    502,
    'credential-unavailable',
  ],
] as readonly [string, Record<string, string>, number, string][]) {
  test(`where ${label}, nothing is sent`, { skip }, async (t) => {
    const { ask, upstream } = await stored(t, parameters);
    const answer = await ask({});
    const told = answer.headers.find(([name]) => name === 'Sekisho-Reason')?.[1];
    assert.deepEqual([answer.status, told], [status, reason]);
    assert.equal(upstream.requests.length, 0);
  });
}

test('a host with a port has no parameters, since AWS permits no such name: it is not even asked', async (t) => {
  const { ask, aws, authority, upstream } = await startSigning(t, {
    credential: 'convention: parameter-store, prefix: /development',
  });
  const { status } = await ask({ headers: [['Host', authority.toUpperCase()]] });
  assert.deepEqual([status, aws.calls.length, upstream.requests.length], [407, 0, 0]);
});
