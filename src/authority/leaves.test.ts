import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ConnectionOptions, connect, type SecureContext, TLSSocket } from 'node:tls';
import { loadText } from '../../test/support/config.ts';
import { parseHost } from '../core/destination.ts';
import { Ip } from '../core/ip.ts';
import type { Authority } from './authority.ts';
import { authorityFiles, findAuthority } from './find.ts';
import { Leaves } from './leaves.ts';
import { keepAuthority } from './own-authority.ts';

const NOW = Date.now();
let dataDir: string;
let authority: Authority;

const configOf = (dir: string) =>
  loadText(`
gateway: { name: tokyo-1, dataDir: ${dir} }
rules: [{ name: r, allow: [anonymous], to: [a.example], intercept: true }]
`).config;

const none = () => {
  throw new TypeError('no secret is named');
};

before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sekisho-authority-'));
  await keepAuthority(configOf(dataDir), NOW);
  authority = findAuthority(configOf(dataDir), none, { env: {} }) as Authority;
});

after(() => rm(dataDir, { recursive: true }));

/** What a client that trusts the authority sees of a leaf. */
async function seenBy(
  host: string,
  context: SecureContext,
  more: ConnectionOptions = {},
): Promise<X509Certificate> {
  const server = createServer((socket) => {
    new TLSSocket(socket, { isServer: true, secureContext: context }).on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ca = await readFile(authorityFiles(dataDir).certificate);
  const isIp = /^[\d.]+$|:/.test(host);
  const name = isIp ? { host } : { servername: host };
  const socket = connectTcp(port, '127.0.0.1');
  const secure = connect({ socket, ca, ...name, ...more });
  await once(secure, 'secureConnect');
  const leaf = new X509Certificate(secure.getPeerCertificate().raw);
  secure.destroy();
  server.close();
  return leaf;
}

for (const [host, names] of [
  ['api.example.com', 'DNS:api.example.com'],
  ['xn--bcher-kva.example', 'DNS:xn--bcher-kva.example'],
  ['192.0.2.7', 'IP Address:192.0.2.7'],
  ['2001:db8::7', 'IP Address:2001:DB8:0:0:0:0:0:7'],
] as const) {
  test(`a leaf for ${host} holds for it and names nothing else`, async () => {
    const parsed = Ip.parse(host) ?? parseHost(host);
    const context = await new Leaves(() => NOW).contextFor(authority, parsed);
    const leaf = await seenBy(host, context);
    assert.equal(leaf.subjectAltName, names);
    assert.equal(leaf.subject, undefined);
  });
}

test('a leaf is made once for all that want it, renewed at half its life, and unlike all others', async () => {
  let now = NOW;
  const leaves = new Leaves(() => now);
  const host = parseHost('api.example.com');
  const first = leaves.contextFor(authority, host);
  assert.equal(leaves.contextFor(authority, host), first);
  now += 11 * 3_600_000;
  assert.equal(leaves.contextFor(authority, host), first);
  now += 2 * 3_600_000;
  const second = leaves.contextFor(authority, host);
  assert.notEqual(second, first);
  // For the client's clock the second one is of tomorrow.
  const seen = [first, second].map(async (context) =>
    seenBy('api.example.com', await context, { rejectUnauthorized: false }),
  );
  const [a, b] = await Promise.all(seen);
  assert.notEqual(a?.serialNumber, b?.serialNumber);
});

test('only so many are kept, those that were used last', async () => {
  const leaves = new Leaves(() => NOW, 5);
  const contextOf = (i: number) => leaves.contextFor(authority, parseHost(`h${i}.example`));
  const first = contextOf(0);
  const second = contextOf(1);
  for (let i = 2; i < 5; i++) void contextOf(i);
  assert.equal(contextOf(0), first);
  void contextOf(5);
  assert.equal(leaves.size, 5);
  assert.equal(contextOf(0), first);
  assert.notEqual(contextOf(1), second);
  await contextOf(5);
});

test('gateways that start at the same time agree on one CA, and a later start keeps it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-authority-'));
  const starts = Array.from({ length: 5 }, () => keepAuthority(configOf(dir), NOW));
  await Promise.all(starts);
  const { fingerprint, certificates } = findAuthority(configOf(dir), none, {
    env: {},
  }) as Authority;
  await keepAuthority(configOf(dir), NOW + 1);
  const again = findAuthority(configOf(dir), none, { env: {} });
  assert.equal(again?.fingerprint, fingerprint);
  assert.equal(certificates[0]?.subject, 'CN=Sekisho intercept CA tokyo-1');
  await rm(dir, { recursive: true });
});
