import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyAudit } from '../../src/audit/verify.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import {
  type GatewayProcess,
  type StatusReport,
  startGatewayProcess,
} from '../support/gateway-process.ts';
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

const POLICY = (listener = '', bind = '127.0.0.1:0') => `
gateway: { workers: 2, drain: { notice: 0s, limit: 10s } }
listeners: { egress: { type: forward-proxy, bind: "${bind}"${listener} } }
principals: { local: { identify: [{ header: { name: X-Id, value: { file: id.txt } } }] } }
rules:
  - { name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
`;
const FILES = { files: { 'id.txt': 'one\n' } };

/** One request on a connection of its own. */
async function ask(port: number, host = 'api.localhost', id = 'one'): Promise<number> {
  const authority = `${host}:${upstream.port}`;
  const client = new RawClient(port);
  client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Id: ${id}\r\n\r\n`);
  const status = statusOf(await client.until(/\r\n\r\n/));
  client.close();
  return status;
}

function askOften(port: number, times: number, host?: string, id?: string): Promise<number[]> {
  return Promise.all(Array.from({ length: times }, () => ask(port, host, id)));
}

async function openTunnel(port: number): Promise<RawClient> {
  const authority = `raw.localhost:${echo.port}`;
  const client = new RawClient(port);
  client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Id: one\r\n\r\n`);
  await client.until(/ 200 /);
  await client.send('ping').until(/ping$/);
  return client;
}

/** How many connections each worker has by now. */
async function connections(gateway: GatewayProcess): Promise<number> {
  const line = /^sekisho_open_connections\{listener="egress"\} (\d+)$/m.exec(
    await gateway.metrics(),
  );
  return Number(line?.[1] ?? 0);
}

function pidOf({ workers }: StatusReport, number: number): number {
  const pid = workers[number - 1]?.pid;
  assert.ok(pid, `worker ${number} is there`);
  return pid;
}

const allAccept = ({ workers }: StatusReport) =>
  workers.every(({ state }) => state === 'accepting');

test('a worker that dies costs its own tunnels only, and is replaced', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const tunnels = await Promise.all(Array.from({ length: 40 }, () => openTunnel(gateway.port)));
  const before = await gateway.status();
  process.kill(pidOf(before, 1), 'SIGKILL');
  // Those that nobody had accepted yet are accepted by another worker.
  assert.deepEqual(new Set(await askOften(gateway.port, 60)), new Set([200]));
  const left = await gateway.until(
    (status) => status.workers[0]?.restarts === 1 && allAccept(status),
  );
  assert.notEqual(pidOf(left, 1), pidOf(before, 1));
  assert.equal(pidOf(left, 2), pidOf(before, 2));
  const alive = tunnels.filter(({ socket }) => !socket.readableEnded && !socket.destroyed);
  // By chance each has about half of them: fewer than 5 of 40 is no chance.
  assert.ok(alive.length >= 5 && alive.length <= 35, `${alive.length} of 40 tunnels are alive`);
  for (const tunnel of alive) await tunnel.send('pong').until(/pong$/);
  assert.deepEqual(new Set(await askOften(gateway.port, 60)), new Set([200]));
  assert.match(gateway.log.join('\n'), /"signal":"SIGKILL".*a worker is gone/);
  for (const tunnel of tunnels) tunnel.close();
});

test('connections are spread evenly over the workers', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const tunnels = await Promise.all(Array.from({ length: 200 }, () => openTunnel(gateway.port)));
  const { workers } = await gateway.until(
    (status) => status.workers.reduce((sum, worker) => sum + worker.connections, 0) === 200,
  );
  // Of 200 that fall to either of two, fewer than 65 for one of them is once in a million.
  for (const worker of workers) assert.ok(worker.connections >= 65, JSON.stringify(workers));
  for (const tunnel of tunnels) tunnel.close();
});

test('a worker that hangs holds up neither metrics nor the other worker', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  await askOften(gateway.port, 20);
  const pid = pidOf(await gateway.status(), 1);
  process.kill(pid, 'SIGSTOP');
  t.after(() => process.kill(pid, 'SIGCONT'));
  assert.match(await gateway.metrics(), /^sekisho_workers\{state="accepting"\} 2$/m);
});

test('workers that go on dying are started ever later, which status and metrics show', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  let status = await gateway.status();
  for (let life = 0; life < 3; life++) {
    status = await gateway.until(
      ({ workers }) => workers[0]?.restarts === life && workers[0].state === 'accepting',
    );
    process.kill(pidOf(status, 1), 'SIGKILL');
  }
  await gateway.logged(/"worker":1.*"restartInMs":500/);
  const metrics = await gateway.metrics();
  assert.match(metrics, /^sekisho_worker_restarts_total 2$/m);
  assert.match(metrics, /^sekisho_workers\{state="accepting"\} 1$/m);
  // Meanwhile the other serves all.
  assert.deepEqual(new Set(await askOften(gateway.port, 20)), new Set([200]));
  await gateway.until(
    ({ workers }) => workers[0]?.restarts === 3 && workers[0].state === 'accepting',
  );
});

test('a limit of connections holds for all workers together, also after one has died', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(', limits: { perClient: 12 }'), FILES);
  const open = async () => {
    const clients: RawClient[] = [];
    for (let i = 0; i < 12; i++) clients.push(await openTunnel(gateway.port));
    return clients;
  };
  const clients = await open();
  assert.equal(await ask(gateway.port), 429);
  process.kill(pidOf(await gateway.status(), 1), 'SIGKILL');
  await gateway.until((status) => status.workers[0]?.restarts === 1 && allAccept(status));
  for (const client of clients) client.close();
  while ((await connections(gateway)) > 0) await new Promise(setImmediate);
  const again = await open();
  assert.equal(await ask(gateway.port), 429);
  for (const client of again) client.close();
});

test('a reload holds on every worker, and on one that starts after it', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  assert.deepEqual(new Set(await askOften(gateway.port, 20, 'new.localhost')), new Set([403]));
  const text = await readFile(gateway.file, 'utf8');
  await writeFile(join(gateway.dir, 'id.txt'), 'two\n');
  await writeFile(gateway.file, text.replace('to: [api.localhost]', 'to: [new.localhost]'));
  gateway.child.kill('SIGHUP');
  await gateway.until(
    ({ policy }) => policy !== undefined && gateway.log.some((line) => /"gains":1/.test(line)),
  );
  const all = async () => {
    assert.deepEqual(
      new Set(await askOften(gateway.port, 20, 'new.localhost', 'two')),
      new Set([200]),
    );
    assert.deepEqual(
      new Set(await askOften(gateway.port, 20, 'api.localhost', 'two')),
      new Set([403]),
    );
    assert.deepEqual(
      new Set(await askOften(gateway.port, 20, 'new.localhost', 'one')),
      new Set([407]),
    );
  };
  await all();
  process.kill(pidOf(await gateway.status(), 2), 'SIGKILL');
  await gateway.until((status) => status.workers[1]?.restarts === 1 && allAccept(status));
  await all();
});

test('a reload with a fault changes nothing on any worker', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const text = await readFile(gateway.file, 'utf8');
  await writeFile(
    gateway.file,
    text.replace('to: [api.localhost]', 'to: [new.localhost]').replace('id.txt', 'gone.txt'),
  );
  gateway.child.kill('SIGHUP');
  await gateway.logged(/gone\.txt.*nothing was changed/);
  assert.deepEqual(new Set(await askOften(gateway.port, 20)), new Set([200]));
  assert.deepEqual(new Set(await askOften(gateway.port, 20, 'new.localhost')), new Set([403]));
});

test('a workload learns why from whichever worker it asks', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const authority = `other.localhost:${upstream.port}`;
  const refused = new RawClient(gateway.port);
  refused.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nX-Id: one\r\n\r\n`);
  const id = /Sekisho-Exchange: (\S+)/i.exec(await refused.until(/help/))?.[1];
  refused.close();
  for (let i = 0; i < 12; i++) {
    const client = new RawClient(gateway.port);
    client.send(
      `GET http://sekisho.internal/v1/why/${id} HTTP/1.1\r\nHost: sekisho.internal\r\nX-Id: one\r\n\r\n`,
    );
    assert.match(await client.until(/no-matching-rule[\s\S]*\}\s*$/), / 200 OK/);
    client.close();
  }
});

test('what workers counted adds up, and stays when one dies', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  await askOften(gateway.port, 40);
  const total = async () =>
    Number(
      /^sekisho_exchanges_total\{[^}]*reason="rule-allow"[^}]*\} (\d+)$/m.exec(
        await gateway.metrics(),
      )?.[1] ?? 0,
    );
  while ((await total()) < 40) await new Promise(setImmediate);
  // What is heard first may have been on its way since before.
  for (let beat = 0; beat < 2; beat++) {
    const now = new Date().toISOString();
    await gateway.until(({ workers }) =>
      workers.every(({ heardAt }) => heardAt !== null && heardAt > now),
    );
  }
  const heard = gateway.log.length;
  process.kill(pidOf(await gateway.status(), 1), 'SIGKILL');
  await gateway.logged(/a worker is back/, heard);
  assert.equal(await total(), 40);
});

test('workers end with their primary, and what they did is on record', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const tunnel = await openTunnel(gateway.port);
  gateway.child.kill('SIGKILL');
  await gateway.exited;
  await tunnel.all();
  // Nothing listens there any more.
  for (;;) {
    const probe = createServer();
    const free = new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(gateway.port, '127.0.0.1', () => resolve(true));
    });
    const isFree = await free;
    probe.close();
    if (isFree) break;
    await new Promise(setImmediate);
  }
  const dir = join(gateway.dir, 'var/audit');
  const found = await verifyAudit({ dir, anchors: undefined, keys: [], progress() {} });
  assert.deepEqual(found.problems, []);
});

test('SIGTERM lets a tunnel finish, a second one does not', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const tunnel = await openTunnel(gateway.port);
  gateway.child.kill('SIGTERM');
  await gateway.until(({ workers }) => workers.every(({ state }) => state === 'draining'));
  await tunnel.send('pong').until(/pong$/);
  // Whoever comes now is refused, and can go elsewhere.
  const late = connect(gateway.port, '127.0.0.1');
  const [refused] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  assert.equal(refused.code, 'ECONNREFUSED');
  const cut = tunnel.all();
  gateway.child.kill('SIGTERM');
  assert.deepEqual(await gateway.exited, [1, null]);
  await cut;

  const other = await startGatewayProcess(t, POLICY(), FILES);
  const last = await openTunnel(other.port);
  other.child.kill('SIGTERM');
  await other.until(({ workers }) => workers.every(({ state }) => state === 'draining'));
  await last.send('bye').until(/bye$/);
  last.socket.end();
  await last.all();
  assert.deepEqual(await other.exited, [0, null]);
});

test('a worker that dies while it drains is told, and the others finish', async (t) => {
  const gateway = await startGatewayProcess(t, POLICY(), FILES);
  const tunnels = await Promise.all(Array.from({ length: 20 }, () => openTunnel(gateway.port)));
  gateway.child.kill('SIGTERM');
  const { workers } = await gateway.until((status) =>
    status.workers.every(({ state }) => state === 'draining'),
  );
  process.kill(workers[0]?.pid as number, 'SIGKILL');
  await gateway.logged(/"worker":1.*what it was finishing is cut/);
  const alive = tunnels.filter(({ socket }) => !socket.readableEnded && !socket.destroyed);
  for (const tunnel of alive) {
    tunnel.send('bye').socket.end();
    await tunnel.all();
  }
  assert.deepEqual(await gateway.exited, [0, null]);
  const dir = join(gateway.dir, 'var/audit');
  const found = await verifyAudit({ dir, anchors: undefined, keys: [], progress() {} });
  assert.deepEqual(found.problems, []);
});

test('a second gateway does not share the ports of the first', async (t) => {
  const first = await startGatewayProcess(t, POLICY(), FILES);
  await assert.rejects(
    startGatewayProcess(t, POLICY('', `127.0.0.1:${first.port}`), FILES),
    /listener egress cannot listen on .*another process listens there/,
  );
});
