import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { OutcomeEvent } from '../../src/audit/event.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type RawUpstream, startRawUpstream } from '../support/upstreams.ts';

/** Either side of an exchange that stalls or goes: what it held is let go, and the record says which limit did it. */

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length:';
const DRIPS = 60;
let dns: DnsServer;
let gateway: TestGateway;
let upstream: RawUpstream;
/** What the upstream does once a request or a tunnel has come, by the first word of its path or bytes. */
const behaviours = new Map<string, (socket: Socket) => void>();

before(async () => {
  upstream = await startRawUpstream((socket) => {
    socket.once('data', (chunk) => behaviours.get(nameOf(chunk.toString()))?.(socket));
  });
  dns = await startDns({ 'never.test': 'silence', 'other.test': ['127.0.0.1'] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners:
  egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { head: 700ms, idle: 700ms } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: api, allow: [local], to: [api.localhost, .test], ports: [${upstream.port}], addresses: [127.0.0.1], tls: off }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  await upstream.close();
});

function nameOf(text: string): string {
  return /^(?:[A-Z]+ \/)?([a-z-]+)/.exec(text)?.[1] ?? '';
}

function request(name: string, more = '', method = 'GET', host = 'api.localhost'): string {
  const authority = `${host}:${upstream.port}`;
  return `${method} http://${authority}/${name} HTTP/1.1\r\nHost: ${authority}\r\n${more}\r\n`;
}

/** Resolves with the upstream's connection, once the request of this name has come to it. */
function arrival(name: string, behaviour: (socket: Socket) => void = () => {}): Promise<Socket> {
  return new Promise((resolve) =>
    behaviours.set(name, (socket) => {
      behaviour(socket);
      resolve(socket);
    }),
  );
}

function outcomeOf(client: RawClient): Promise<OutcomeEvent> {
  return gateway.outcome((event) => event.client === `127.0.0.1:${client.localPort}`);
}

async function tunnel(name: string): Promise<RawClient> {
  const authority = `api.localhost:${upstream.port}`;
  const client = new RawClient(gateway.port);
  client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await client.until(/\r\n\r\n/);
  return client.send(name);
}

/** Resolves at the gateway's FIN or RST. */
function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed || socket.readableEnded) return resolve();
    socket.once('end', resolve);
    socket.once('close', () => resolve());
  });
}

suite('slow peers', { concurrency: true }, () => {
  test('a request body that stalls ends with 504, and its upstream connection is closed', async () => {
    const arrived = arrival('stalled-upload');
    const client = new RawClient(gateway.port).send(
      `${request('stalled-upload', 'Content-Length: 10\r\n', 'POST')}abc`,
    );
    const socket = await arrived;
    assert.match(await client.all(), /^HTTP\/1\.1 504 .*idle-timeout/);
    await ended(socket);
    const { outcome } = await outcomeOf(client);
    assert.deepEqual([outcome.status, outcome.error, outcome.bytesUp], [504, 'idle-timeout', 3]);
  });

  test('a request body that drips faster than the idle limit goes on', async (t) => {
    arrival('dripping-upload', (socket) => {
      let bytes = 0;
      socket.on('data', (chunk) => {
        bytes += chunk.length;
        if (bytes === DRIPS) socket.end(`${HEAD} 2\r\n\r\nok`);
      });
    });
    // A limit of its own: longer than a busy machine may hold a drip up, shorter than all drips together.
    const patient = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { idle: 2s } } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`);
    t.after(() => patient.stop());
    const client = new RawClient(patient.port);
    client.send(request('dripping-upload', `Content-Length: ${DRIPS}\r\n`, 'POST'));
    const timer = setInterval(() => client.send('x'), 50);
    t.after(() => clearInterval(timer));
    assert.equal(statusOf(await client.until(/ok$/)), 200);
    client.close();
    assert.equal((await patient.outcome()).outcome.error, null);
  });

  test('the head of a response that drips is cut after timeouts.head', async () => {
    arrival('dripping-head', (socket) => {
      socket.write(HEAD);
      const timer = setInterval(() => socket.write('1'), 50);
      socket.once('close', () => clearInterval(timer));
    });
    const client = new RawClient(gateway.port).send(request('dripping-head'));
    assert.match(await client.until(/\r\n\r\n/), /^HTTP\/1\.1 504 .*idle-timeout/);
    client.close();
  });

  test('a response body that stalls cuts the client, which cannot take it for the whole', async () => {
    const arrived = arrival('stalled-download', (socket) => socket.write(`${HEAD} 10\r\n\r\nabc`));
    const client = new RawClient(gateway.port).send(request('stalled-download'));
    assert.match(await client.all(), /\r\n\r\nabc$/);
    await ended(await arrived);
    const { outcome } = await outcomeOf(client);
    assert.deepEqual([outcome.error, outcome.bytesDown], ['idle-timeout', 3]);
  });

  test('a client that resets while its destination thinks frees the upstream connection', async () => {
    const arrived = arrival('thinking');
    const client = new RawClient(gateway.port).send(request('thinking'));
    const socket = await arrived;
    client.socket.resetAndDestroy();
    await ended(socket);
    assert.equal((await outcomeOf(client)).outcome.error, 'client-reset');
  });

  test('a tunnel that its destination half-closed ends at idle when the client stays silent', async () => {
    const arrived = arrival('half-closed', (socket) => socket.end('bye'));
    const client = await tunnel('half-closed');
    await ended(await arrived);
    assert.match(await client.all(), /bye$/);
    const { outcome } = await outcomeOf(client);
    assert.deepEqual([outcome.error, outcome.bytesDown], ['idle-timeout', 3]);
  });

  test('a resolver that never answers ends in resolve-failed, and other names are served meanwhile', async () => {
    const client = new RawClient(gateway.port).send(request('x', '', 'GET', 'never.test'));
    const failed = client.until(/\r\n\r\n/);
    arrival('meanwhile', (socket) => socket.end(`${HEAD} 2\r\n\r\nok`));
    const other = new RawClient(gateway.port);
    other.send(request('meanwhile', '', 'GET', 'other.test'));
    const first = await Promise.race([failed, other.until(/ok$/)]);
    assert.equal(statusOf(first), 200);
    assert.match(await failed, /^HTTP\/1\.1 502 .*resolve-failed/);
    client.close();
    other.close();
    assert.equal((await outcomeOf(client)).outcome.error, 'resolve-failed');
  });
});

/** By itself, since it keeps this process busy. */
test('a client that asks on and takes no answer is not read on, and is cut', async () => {
  const client = new RawClient(gateway.port);
  await once(client.socket, 'connect');
  client.socket.pause();
  const refused = 'GET http://denied.example/ HTTP/1.1\r\nHost: denied.example\r\n\r\n';
  const chunk = Buffer.from(refused.repeat(1_000));
  const most = 16 * 1024 * 1024;
  let taken = 0;
  const pour = () =>
    client.socket.write(chunk, (error) => {
      taken += chunk.length;
      if (taken > most) client.close();
      if (!error) pour();
    });
  pour();
  await ended(client.socket);
  assert.ok(taken < most, `the gateway took ${taken} bytes`);
});
