import assert from 'node:assert/strict';
import { readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { extension, hello, serverName, vector } from '../support/client-hello.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  type RawUpstream,
  startHttpUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';

let upstream: Upstream;
let echo: RawUpstream;

before(async () => {
  upstream = await startHttpUpstream();
  echo = await startRawUpstream((socket) => socket.pipe(socket));
});

after(async () => {
  await echo.close();
  await upstream.close();
});

const POLICY = () => `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ header: { name: X-Id, value: { file: id.txt } } }] } }
sets: { saas: { hosts: { file: saas.txt } } }
rules:
  - { name: saas, allow: [local], to: [saas], ports: [${upstream.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
`;

async function start(yaml = POLICY()): Promise<TestGateway> {
  return startTestGateway(yaml, { files: { 'id.txt': 'one\n', 'saas.txt': 'api.localhost\n' } });
}

async function edit(gateway: TestGateway, change: (text: string) => string): Promise<void> {
  await writeFile(gateway.file, change(await readFile(gateway.file, 'utf8')));
}

async function ask(gateway: TestGateway, host: string, id = 'one'): Promise<number> {
  const authority = `${host}:${upstream.port}`;
  const client = new RawClient(gateway.port);
  client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Id: ${id}\r\n\r\n`);
  const status = statusOf(await client.until(/\r\n\r\n/));
  client.close();
  return status;
}

/** The next change of policy that goes on record. */
function reloaded(gateway: TestGateway): Promise<void> {
  return new Promise((resolve) => {
    gateway.gateway.onAuditEvent((event) => {
      if (event.type === 'reload') resolve();
    });
  });
}

test('a changed policy holds from the next request on, and the record says who gains and loses', async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway, 'new.localhost'), 403);
  const client = new RawClient(gateway.port);
  const request = `GET http://new.localhost:${upstream.port}/ HTTP/1.1\r\nHost: new.localhost:${upstream.port}\r\nX-Id: one\r\n\r\n`;
  assert.match(await client.send(request).until(/help/), / 403 /);
  await edit(gateway, (text) => text.replace('to: [saas]', 'to: [new.localhost]'));
  assert.equal(await gateway.gateway.reload(), true);
  // On the same kept-alive connection.
  await client.send(request).until(/ 200 OK/);
  client.close();
  assert.equal(await ask(gateway, 'api.localhost'), 403);
  const event = gateway.events.find((found) => found.type === 'reload');
  assert.ok(event?.type === 'reload' && event.from !== event.to);
  const changes = (event.differences as { change: string; destination: string }[]).map(
    ({ change, destination }) => `${change} ${destination.split(':')[0]}`,
  );
  assert.deepEqual(changes.sort(), ['gains new.localhost', 'loses api.localhost']);
});

test('files are watched: the policy, a list of hosts, a secret, and a file that is renamed into place', async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  let seen = reloaded(gateway);
  await writeFile(join(gateway.dir, 'saas.txt'), 'other.localhost\n');
  await seen;
  assert.equal(await ask(gateway, 'other.localhost'), 200);
  seen = reloaded(gateway);
  await writeFile(join(gateway.dir, 'id.new'), 'two\n');
  await rename(join(gateway.dir, 'id.new'), join(gateway.dir, 'id.txt'));
  await seen;
  assert.equal(await ask(gateway, 'other.localhost', 'one'), 407);
  assert.equal(await ask(gateway, 'other.localhost', 'two'), 200);
});

test('a file that can no longer be looked at is a change like any other: refused, until it is there again', async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  const file = join(gateway.dir, 'saas.txt');
  await rm(file);
  await symlink(file, file);
  while (!/saas\.txt.*ELOOP/.test(gateway.log())) await new Promise(setImmediate);
  assert.equal(await ask(gateway, 'api.localhost'), 200);
  const seen = reloaded(gateway);
  await rm(file);
  await writeFile(file, 'other.localhost\n');
  await seen;
  assert.equal(await ask(gateway, 'other.localhost'), 200);
});

test('another admin token holds from the reload on, and the one before no longer', async (t) => {
  const gateway = await startTestGateway(
    `admin: { bind: "127.0.0.1:0", token: { file: admin.txt } }\n${POLICY()}`,
    { files: { 'id.txt': 'one\n', 'saas.txt': 'api.localhost\n', 'admin.txt': 'leaked\n' } },
  );
  t.after(() => gateway.stop());
  const { host, port } = gateway.gateway.admin;
  const statusWith = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`http://${host}:${port}/v1/status`, { headers })).status;
  };
  assert.deepEqual([await statusWith('leaked'), await statusWith('fresh')], [200, 401]);
  await writeFile(join(gateway.dir, 'admin.txt'), 'fresh\n');
  assert.equal(await gateway.gateway.reload(), true);
  assert.deepEqual([await statusWith('leaked'), await statusWith('fresh')], [401, 200]);
});

const REFUSED: Record<string, { change: (text: string) => string; logged: RegExp }> = {
  'a fault': { change: (text) => text.replace('rules:', 'ruls:'), logged: /ruls/ },
  'a broken expectation': {
    change: (text) =>
      `${text}expect: [{ principal: local, to: "pastebin.com:443", decision: allow }]\n`,
    logged: /pastebin\.com/,
  },
  'an unreadable secret': {
    change: (text) => text.replace('id.txt', 'gone.txt'),
    logged: /gone\.txt/,
  },
  'another address to bind': {
    change: (text) => text.replace('bind: "127.0.0.1:0" } }', 'bind: "127.0.0.2:0" } }'),
    logged: /only a restart changes/,
  },
};

for (const [name, { change, logged }] of Object.entries(REFUSED)) {
  test(`a reload with ${name} changes nothing, and the log says why`, async (t) => {
    const gateway = await start();
    t.after(() => gateway.stop());
    await edit(gateway, (text) => change(text.replace('to: [saas]', 'to: [new.localhost]')));
    assert.equal(await gateway.gateway.reload(), false);
    assert.match(gateway.log(), logged);
    assert.equal(await ask(gateway, 'api.localhost'), 200);
    assert.equal(await ask(gateway, 'new.localhost'), 403);
  });
}

async function openTunnel(gateway: TestGateway): Promise<RawClient> {
  const authority = `raw.localhost:${echo.port}`;
  const client = new RawClient(gateway.port);
  client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Id: one\r\n\r\n`);
  await client.until(/ 200 /);
  await client.send('ping').until(/ping$/);
  return client;
}

const revoke = (text: string) => text.replace('to: [raw.localhost]', 'to: [elsewhere.localhost]');

test('an open tunnel that is no longer allowed ends, with that decision on record', async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  const client = await openTunnel(gateway);
  await edit(gateway, (text) => text.replace('to: [saas]', 'to: [saas, x.localhost]'));
  assert.equal(await gateway.gateway.reload(), true);
  await client.send('pong').until(/pong$/);
  await edit(gateway, revoke);
  const closed = client.all();
  assert.equal(await gateway.gateway.reload(), true);
  await closed;
  const outcome = await gateway.outcome((event) => event.decision?.reason === 'no-matching-rule');
  assert.deepEqual(
    gateway.decisions(outcome.id).map(({ decision }) => decision?.reason),
    ['rule-allow', 'no-matching-rule'],
  );
  assert.deepEqual([outcome.outcome.error, outcome.outcome.bytesUp], [null, 'pingpong'.length]);
});

test('`onReload: keep` leaves open tunnels alone', async (t) => {
  const gateway = await start(`gateway: { onReload: keep }\n${POLICY()}`);
  t.after(() => gateway.stop());
  const client = await openTunnel(gateway);
  await edit(gateway, revoke);
  assert.equal(await gateway.gateway.reload(), true);
  await client.send('pong').until(/pong$/);
  client.close();
});

test('a tunnel that was decided on before a reload, and opens after it, is judged by the new policy', async (t) => {
  const gateway = await start(POLICY().replace(', tls: off', ''));
  t.after(() => gateway.stop());
  const authority = `raw.localhost:${echo.port}`;
  const client = new RawClient(gateway.port);
  const seen = echo.received.length;
  client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Id: one\r\n\r\n`);
  await client.until(/ 200 /);
  await edit(gateway, revoke);
  assert.equal(await gateway.gateway.reload(), true);
  client.send(hello(extension(0, vector(2, serverName('raw.localhost')))));
  await client.all();
  const outcome = await gateway.outcome((event) => event.decision?.reason === 'no-matching-rule');
  assert.equal(outcome.outcome.bytesDown, 0);
  assert.equal(Buffer.concat(echo.received.slice(seen)).length, 0);
});

test('a header that identified before a reload does not reach destinations after it', async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  await edit(gateway, (text) => text.replace('name: X-Id', 'name: X-New'));
  assert.equal(await gateway.gateway.reload(), true);
  const authority = `api.localhost:${upstream.port}`;
  const client = new RawClient(gateway.port);
  client.send(
    `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-New: one\r\nX-Id: one\r\n\r\n`,
  );
  await client.until(/ 200 OK/);
  client.close();
  assert.doesNotMatch(JSON.stringify(upstream.requests.at(-1)?.rawHeaders), /x-id|x-new/i);
});

test('what a listener takes, and for how long, changes with a reload', async (t) => {
  const gateway = await start();
  t.after(() => gateway.stop());
  assert.equal(await ask(gateway, 'api.localhost'), 200);
  await edit(gateway, (text) =>
    text.replace('bind: "127.0.0.1:0" } }', 'bind: "127.0.0.1:0", from: [10.0.0.0/8] } }'),
  );
  assert.equal(await gateway.gateway.reload(), true);
  assert.equal(await new RawClient(gateway.port).send('GET / HTTP/1.1\r\n\r\n').all(), '');
});
