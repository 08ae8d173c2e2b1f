import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';
import { freePort, type RunningServer, startServer } from '../support/servers.ts';
import { startHttpUpstream, type Upstream } from '../support/upstreams.ts';

/** The balancer connects from 127.0.0.9: the only peer that may, and must, send a PROXY header. */
const BALANCER = '127.0.0.9';
const skip = needs('haproxy');
let upstream: Upstream;
let gateway: TestGateway;
let haproxy: RunningServer;
let dir: string;
const ports = { v1: 0, v2: 0 };

before(async () => {
  upstream = await startHttpUpstream();
  gateway = await startTestGateway(`
listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:0"
    proxyProtocol: { from: [${BALANCER}] }
principals:
  by-address: { identify: [{ clientAddress: [127.0.0.5] }] }
rules: [{ name: api, allow: [by-address], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`);
  if (skip !== false) return;
  dir = await mkdtemp(join(tmpdir(), 'sekisho-haproxy-'));
  ports.v1 = await freePort();
  ports.v2 = await freePort();
  const section = (version: 'v1' | 'v2', option: string) => `
listen ${version}
  bind 127.0.0.1:${ports[version]}
  server gateway 127.0.0.1:${gateway.port} source ${BALANCER} ${option}
`;
  const config = `
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
${section('v1', 'send-proxy')}${section('v2', 'send-proxy-v2')}`;
  await writeFile(join(dir, 'haproxy.cfg'), config);
  haproxy = await startServer(
    'haproxy',
    ['-db', '-f', join(dir, 'haproxy.cfg')],
    [ports.v1, ports.v2],
  );
});

after(async () => {
  if (skip === false) {
    await haproxy.stop();
    await rm(dir, { recursive: true });
  }
  await gateway.stop();
  await upstream.close();
});

const request = () =>
  `GET http://api.localhost:${upstream.port}/ HTTP/1.1\r\nHost: api.localhost:${upstream.port}\r\nConnection: close\r\n\r\n`;

/** Sends one request from an address of our choice, as the client behind the balancer. */
async function fetchFrom(localAddress: string, port: number, bytes: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  socket.write(Buffer.from(bytes, 'latin1'));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  await new Promise((closed) => socket.once('close', closed));
  return Buffer.concat(chunks).toString('latin1');
}

for (const version of ['v1', 'v2'] as const) {
  test(`behind HAProxy (PROXY ${version}) the client is known by its own address`, {
    skip,
  }, async () => {
    assert.equal(statusOf(await fetchFrom('127.0.0.5', ports[version], request())), 200);
    const outcome = await gateway.outcome(
      (event) => event.client.startsWith('127.0.0.5:') && event.peer === BALANCER,
    );
    assert.equal(outcome.principal, 'by-address');
    assert.equal(statusOf(await fetchFrom('127.0.0.6', ports[version], request())), 407);
  });
}

test('a forged PROXY header from a peer that is no balancer does not make it another client', async () => {
  const seen = upstream.requests.length;
  const forged = `PROXY TCP4 127.0.0.5 127.0.0.1 40000 3128\r\n${request()}`;
  const answer = await fetchFrom('127.0.0.1', gateway.port, forged);
  assert.notEqual(statusOf(answer), 200);
  assert.equal(upstream.requests.length, seen);
});

test('a balancer that sends no PROXY header is closed without an answer', async () => {
  assert.equal(await fetchFrom(BALANCER, gateway.port, request()), '');
});

test('a client that is no balancer needs no PROXY header', async () => {
  const client = new RawClient(gateway.port);
  client.send(request());
  assert.equal(statusOf(await client.until(/\r\n\r\n/)), 407);
  client.close();
});
