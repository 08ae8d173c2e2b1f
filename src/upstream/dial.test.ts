import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Ip } from '../core/ip.ts';
import { type DialOptions, dial } from './dial.ts';

/** Long enough that a test which waits for it is stuck, not slow. */
const NEVER_MS = 600_000;
const PATIENT: DialOptions = { timeoutMs: NEVER_MS, attemptDelayMs: NEVER_MS };

function ips(...texts: string[]): Ip[] {
  return texts.map((text) => Ip.parse(text) as Ip);
}

interface Listening {
  readonly port: number;
  readonly server: Server;
  readonly accepted: Socket[];
}

async function listen(t: TestContext, host: string, port = 0): Promise<Listening> {
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket));
  server.listen(port, host);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server, accepted };
}

/** A port of loopback that refuses: it was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

// A thread that listens and then sleeps: the kernel completes connections until the backlog is full, and from then on
// drops every SYN, as a firewall does.
const SLEEPER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { host, port, awake } = workerData;
  const server = require('node:net').createServer();
  server.listen({ host, port, backlog: 1 }, () => {
    parentPort.postMessage('listening');
    Atomics.wait(awake, 0, 0);
  });
`;

/** Makes an address silent, until `wake` lets it accept. */
async function silence(t: TestContext, host: string, port: number): Promise<{ wake(): void }> {
  const awake = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(SLEEPER, { eval: true, workerData: { host, port, awake } });
  t.after(() => worker.terminate());
  await once(worker, 'message');
  while (await accepts(t, host, port));
  return {
    wake: () => {
      Atomics.store(awake, 0, 1);
      Atomics.notify(awake, 0);
    },
  };
}

async function accepts(t: TestContext, host: string, port: number): Promise<boolean> {
  try {
    const { socket } = await dial(ips(host), port, { timeoutMs: 100 });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    return true;
  } catch {
    return false;
  }
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Runs `body` and asserts that it leaves no descriptor open. */
async function withoutLeak(body: () => Promise<unknown>): Promise<void> {
  const before = openDescriptors();
  await body();
  // The loop closes handles at the end of a turn.
  await turn();
  await turn();
  assert.equal(openDescriptors(), before);
}

for (const host of ['127.0.0.1', '127.0.0.2', '::1']) {
  test(`connects to ${host}`, async (t) => {
    const { port, server } = await listen(t, host);
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const { socket, address } = await dial(ips(host), port, PATIENT);
    t.after(() => socket.destroy());
    assert.equal(address.text, host);
    const [peer] = await accepted;
    assert.deepEqual([peer.localAddress, peer.localPort], [host, port]);
  });
}

test('the next address is tried at once when one refuses', async (t) => {
  const { port } = await listen(t, '127.0.0.1');
  const { socket, address } = await dial(ips('127.0.0.2', '127.0.0.3', '127.0.0.1'), port, PATIENT);
  t.after(() => socket.destroy());
  assert.equal(address.text, '127.0.0.1');
});

test('the first address is taken when all accept, and no other is bothered', async (t) => {
  const first = await listen(t, '127.0.0.1');
  const second = await listen(t, '127.0.0.2', first.port);
  const { socket, address } = await dial(ips('127.0.0.1', '127.0.0.2'), first.port, PATIENT);
  t.after(() => socket.destroy());
  assert.equal(address.text, '127.0.0.1');
  assert.equal(second.accepted.length, 0);
});

test('the next address joins when one stays silent, and the silent one is dropped', async (t) => {
  const { port, server } = await listen(t, '127.0.0.1');
  await silence(t, '127.0.0.2', port);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  await withoutLeak(async () => {
    const { socket, address } = await dial(ips('127.0.0.2', '127.0.0.1'), port, {
      timeoutMs: NEVER_MS,
      attemptDelayMs: 10,
    });
    socket.destroy();
    const [peer] = await accepted;
    peer.destroy();
    assert.equal(address.text, '127.0.0.1');
  });
});

test('an attempt that is slow wins when all that joined it have failed', async (t) => {
  const { port } = await listen(t, '127.0.0.1');
  const { wake } = await silence(t, '127.0.0.2', port);
  const dialled = dial(ips('127.0.0.2', '127.0.0.3', '127.0.0.4'), port, {
    timeoutMs: NEVER_MS,
    attemptDelayMs: 0,
  });
  wake();
  const { socket, address } = await dialled;
  t.after(() => socket.destroy());
  assert.equal(address.text, '127.0.0.2');
});

test('connect-failed names every address with its code', async () => {
  const port = await closedPort();
  await withoutLeak(() =>
    assert.rejects(dial(ips('127.0.0.1', '127.0.0.2'), port, PATIENT), {
      code: 'connect-failed',
      message: `no address accepts (port ${port}: 127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED)`,
    }),
  );
});

test('connect-timeout when nothing accepts in time', async (t) => {
  const { port } = await listen(t, '127.0.0.1');
  await silence(t, '127.0.0.2', port);
  await withoutLeak(() =>
    assert.rejects(dial(ips('127.0.0.3', '127.0.0.2'), port, { timeoutMs: 50 }), {
      code: 'connect-timeout',
      message: `no address accepted within 50 ms (port ${port}: 127.0.0.3 ECONNREFUSED, 127.0.0.2 silent)`,
    }),
  );
});

test('the connection comes from the address that it is to leave from', async (t) => {
  const { port, server } = await listen(t, '127.0.0.1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const from = ips('127.0.0.9');
  const { socket } = await dial(ips('::1', '127.0.0.1'), port, { ...PATIENT, from });
  t.after(() => socket.destroy());
  const [peer] = await accepted;
  assert.equal(peer.remoteAddress, '127.0.0.9');
});

test('each family leaves from its own address', async (t) => {
  const { port, server } = await listen(t, '::1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const from = ips('127.0.0.9', '::1');
  const { socket } = await dial(ips('127.0.0.1', '::1'), port, { ...PATIENT, from });
  t.after(() => socket.destroy());
  const [peer] = await accepted;
  assert.equal(peer.remoteAddress, '::1');
});

test('no destination address of a family to leave from: connect-failed, and the message says so', async () => {
  const from = ips('127.0.0.9');
  await assert.rejects(dial(ips('2606::1', '2606::2'), 443, { ...PATIENT, from }), {
    code: 'connect-failed',
    message:
      'the exit leaves from 127.0.0.9, but the destination has only addresses of the other family: 2606::1, 2606::2',
  });
});

test('an address to leave from that this host does not have is a connect-failed', async (t) => {
  const { port } = await listen(t, '127.0.0.1');
  const from = ips('203.0.113.77');
  await withoutLeak(() =>
    assert.rejects(dial(ips('127.0.0.1'), port, { ...PATIENT, from }), {
      code: 'connect-failed',
      message: `no address accepts (port ${port}: 127.0.0.1 cannot leave from 203.0.113.77: EADDRNOTAVAIL)`,
    }),
  );
});

test('no address at all is a connect-failed', async () => {
  await assert.rejects(dial([], 443, PATIENT), { code: 'connect-failed' });
});

test('nothing is read before the owner asks, and a FIN leaves the way out open', async (t) => {
  const { port, server } = await listen(t, '127.0.0.1');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const { socket } = await dial(ips('127.0.0.1'), port, PATIENT);
  t.after(() => socket.destroy());
  const [peer] = await accepted;
  peer.end('greeting');
  await once(peer, 'finish');
  let greeting = '';
  // To listen is to ask, until it is taken back.
  socket.on('data', (chunk) => {
    greeting += chunk;
  });
  socket.pause();
  await turn();
  await turn();
  assert.equal(greeting, '');

  const ended = once(socket, 'end');
  socket.resume();
  while (greeting === '') await turn();
  assert.equal(greeting, 'greeting');
  await ended;
  socket.write(Buffer.from('answer'));
  socket.end();
  const [answer] = await once(peer, 'data');
  assert.equal(String(answer), 'answer');
});

test('the socket comes without listeners of the dialler', async (t) => {
  const { port } = await listen(t, '127.0.0.1');
  const { socket } = await dial(ips('127.0.0.1'), port, PATIENT);
  t.after(() => socket.destroy());
  for (const event of ['error', 'connect', 'data', 'close', 'timeout']) {
    assert.equal(socket.listenerCount(event), 0, event);
  }
});
