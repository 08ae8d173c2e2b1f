import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type RawUpstream, startRawUpstream } from '../support/upstreams.ts';
import { behind, head, verdict } from '../support/ways.ts';

/**
 * Clients that hold on to a tunnel or a response. Each must end by itself, with its reason, while others are served. Limits
 * of connections: `limits.test.ts`; stalled bodies and answers: `slow-peers.test.ts`.
 */

const ENDLESS = Buffer.alloc(64 * 1024, 'x');

let silent: RawUpstream;
let flood: RawUpstream;
let written: () => number;
let gateway: TestGateway;

before(async () => {
  silent = await startRawUpstream();
  let bytes = 0;
  written = () => bytes;
  flood = await startRawUpstream((socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(ENDLESS)) bytes += ENDLESS.length;
      bytes += ENDLESS.length;
    };
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n');
      socket.on('drain', pour);
      pour();
    });
  });
  gateway = await startTestGateway(`
listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:0"
    timeouts: { head: 200ms, idle: 500ms }
principals: { local: { identify: [{ clientAddress: [127.0.0.0/8] }] } }
rules:
  - { name: tls, allow: [local], to: [tls.localhost], ports: [80, ${silent.port}, ${flood.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${silent.port}, ${flood.port}], addresses: [127.0.0.1], tls: off }
`);
});

after(async () => {
  await gateway.stop();
  await silent.close();
  await flood.close();
});

async function tunnelTo(host: string, port: number): Promise<RawClient> {
  const client = new RawClient(gateway.port).send(head('CONNECT', `${host}:${port}`, host, []));
  assert.equal(statusOf(await client.until(/\r\n\r\n/)), 200);
  return client;
}

const outcomeOf = (client: RawClient) =>
  gateway.outcome((event) => event.client === `127.0.0.1:${client.localPort}`);

/** Somebody else is served at once. */
async function assertServesOthers(): Promise<void> {
  const wanted = { host: 'denied.test', from: '127.0.0.77' };
  assert.equal(await verdict(gateway, 'connect', wanted), '403 no-matching-rule');
}

/** Sends one byte after the other until the gateway ends it. */
async function drip(client: RawClient, bytes: string): Promise<void> {
  let ended = false;
  client.socket.once('end', () => {
    ended = true;
  });
  client.socket.once('close', () => {
    ended = true;
  });
  for (let i = 0; !ended; i++) {
    client.send(bytes[i % bytes.length] as string);
    await setImmediate();
    await setImmediate();
  }
}

test('a head that drips is cut at the head timeout, also on a kept connection and inside CONNECT', async (t) => {
  const request = `GET http://raw.localhost/ HTTP/1.1\r\nX: ${'y'.repeat(1000)}`;
  const cases: Readonly<Record<string, () => Promise<RawClient>>> = {
    first: async () => new RawClient(gateway.port),
    'inside CONNECT': () => tunnelTo('tls.localhost', 80),
    later: async () => {
      const client = new RawClient(gateway.port).send(
        head('GET', 'http://denied.test/', 'denied.test', []),
      );
      await client.until(/docs\/errors/);
      return client;
    },
  };
  for (const [name, open] of Object.entries(cases)) {
    await t.test(name, async () => {
      const client = await open();
      const from = client.received.length;
      await drip(client, request + 'y'.repeat(60_000));
      const text = (await client.all()).slice(from);
      assert.match(
        text,
        /HTTP\/1\.1 400 [^\r]*: request-invalid [\s\S]* the head did not arrive in time/,
      );
      await gateway.outcome(
        (event) =>
          event.client === `127.0.0.1:${client.localPort}` &&
          event.decision?.reason === 'request-invalid',
      );
    });
  }
});

test('a ClientHello that drips is cut at the head timeout', async () => {
  const client = await tunnelTo('tls.localhost', silent.port);
  const since = silent.received.length;
  await drip(client, `\x16\x03\x01\x3f\xff\x01\x00\xf0\x00\x03\x03${'\0'.repeat(16_000)}`);
  assert.equal(behind(await client.all()), '');
  assert.equal((await outcomeOf(client)).outcome.error, 'idle-timeout');
  assert.equal(Buffer.concat(silent.received.slice(since)).length, 0);
});

test('an idle tunnel ends, and a half-closed one', async (t) => {
  await t.test('idle', async () => {
    const client = await tunnelTo('raw.localhost', silent.port);
    await client.all();
    assert.equal((await outcomeOf(client)).outcome.error, 'idle-timeout');
  });
  await t.test('half-closed by the client', async () => {
    const client = await tunnelTo('raw.localhost', silent.port);
    client.socket.end('bye');
    await client.all();
    assert.equal((await outcomeOf(client)).outcome.error, 'idle-timeout');
  });
});

/** What the kernel holds on both sides of loopback, and the little that the gateway does. */
const BUFFERED = 32 * 1024 * 1024;

test('a client that does not read holds its destination back, and is let go', async (t) => {
  const host = `raw.localhost:${flood.port}`;
  const openings: Readonly<Record<string, string>> = {
    'a tunnel': `${head('CONNECT', host, host, [])}go`,
    'a response': head('GET', `http://${host}/`, host, []),
  };
  for (const [name, opening] of Object.entries(openings)) {
    await t.test(name, async () => {
      const before = written();
      const client = new RawClient(gateway.port);
      client.socket.pause();
      client.socket.removeAllListeners('data');
      client.send(opening);
      await new Promise((connected) => client.socket.once('connect', connected));
      const outcome = await outcomeOf(client);
      assert.equal(outcome.outcome.error, 'idle-timeout');
      assert.ok(written() - before < BUFFERED, `${written() - before} bytes were taken`);
      client.close();
      await assertServesOthers();
    });
  }
});
