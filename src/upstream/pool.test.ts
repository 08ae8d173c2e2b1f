import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Connection } from '../core/conversation.ts';
import { Ip } from '../core/ip.ts';
import { Channel } from '../stream/channel.ts';
import { HttpPool } from './pool.ts';

const ADDRESS = Ip.parse('127.0.0.1') as Ip;
const LIMITS = { perKey: 8, total: 16, idleMs: 30 };
const server = createServer((socket) => socket.on('error', () => {}).resume());
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());

async function reached(): Promise<Connection<Channel>> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  return { stream: new Channel(socket, 60_000), address: ADDRESS, reused: false };
}

test('connections that nobody asks for are closed, each at its time', async () => {
  const pool = new HttpPool(LIMITS);
  const [first, second] = [await reached(), await reached()];
  const closed = [first, second].map(({ stream }) => once(stream.socket, 'close'));
  pool.put('a', first);
  await wait(LIMITS.idleMs / 2);
  pool.put('b', second);
  await Promise.all(closed);
  assert.equal(pool.size, 0);
  const third = await reached();
  const gone = once(third.stream.socket, 'close');
  pool.put('a', third);
  await gone;
  assert.deepEqual(pool.stats, {
    kept: 0,
    sessions: 0,
    streams: 0,
    reused: 0,
    missed: 0,
    discarded: 3,
  });
});

test('a connection that was taken is not closed when its time in the pool would end', async () => {
  const pool = new HttpPool(LIMITS);
  const [used, unused] = [await reached(), await reached()];
  pool.put('a', used);
  pool.put('b', unused);
  const gone = once(unused.stream.socket, 'close');
  assert.equal(pool.take('a', [ADDRESS])?.stream, used.stream);
  await gone;
  assert.equal(used.stream.lost, false);
  used.stream.destroy();
});
