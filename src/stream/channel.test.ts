import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Channel, ChannelLost } from './channel.ts';

const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
const peers: Socket[] = [];
before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => {
  for (const peer of peers) peer.destroy();
  server.close();
});

async function pair(idleMs = 60_000): Promise<{ channel: Channel; peer: Socket }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const peer = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  peers.push(peer);
  await once(peer, 'connect');
  const [socket] = await accepted;
  return { channel: new Channel(socket, idleMs), peer };
}

/** Gathers until `wanted` bytes are there and hands the rest back. */
function bytes(channel: Channel, wanted: number): Promise<string | undefined> {
  let seen = Buffer.alloc(0);
  return channel.take((chunk) => {
    seen = Buffer.concat([seen, chunk]);
    if (seen.length < wanted) return undefined;
    channel.unread(seen.subarray(wanted));
    return seen.subarray(0, wanted).toString();
  });
}

test('what one taker leaves goes to the next, in order', async () => {
  const { channel, peer } = await pair();
  peer.write('headbody');
  assert.equal(await bytes(channel, 4), 'head');
  peer.write('more');
  assert.equal(await bytes(channel, 8), 'bodymore');
});

test('bytes that arrive while nobody takes come after those that were handed back', async () => {
  const { channel, peer } = await pair();
  peer.write('head1');
  assert.equal(await bytes(channel, 4), 'head');
  const arrived = once(channel.socket, 'pause');
  peer.write('2');
  await arrived;
  assert.equal(await bytes(channel, 2), '12');
});

test('a FIN gives undefined, after the bytes that came before it', async () => {
  const { channel, peer } = await pair();
  peer.end('last');
  assert.equal(await bytes(channel, 2), 'la');
  assert.equal(await bytes(channel, 2), 'st');
  assert.equal(await bytes(channel, 1), undefined);
  assert.equal(await bytes(channel, 1), undefined);
});

test('a reset reaches the taker that waits, and every later one', async () => {
  const { channel, peer } = await pair();
  const waiting = bytes(channel, 1);
  peer.resetAndDestroy();
  await assert.rejects(waiting, (error: ChannelLost) => error.code === 'reset');
  await assert.rejects(bytes(channel, 1), ChannelLost);
  assert.ok(channel.disturbed);
});

test('an idle connection is given up and says so', async () => {
  const { channel } = await pair(20);
  await assert.rejects(bytes(channel, 1), (error: ChannelLost) => error.code === 'idle');
  assert.ok(channel.lost);
});

test('bytes that nobody takes stop the reading instead of piling up', async () => {
  const { channel, peer } = await pair();
  channel.socket.resume();
  const flood = Buffer.alloc(1024 * 1024, 'x');
  while (peer.write(flood));
  const full = once(channel.socket, 'pause');
  await full;
  assert.ok(channel.socket.bytesRead < 2 * flood.length);
  assert.equal(await bytes(channel, 3), 'xxx');
});

test('what a step throws reaches whoever takes', async () => {
  const { channel, peer } = await pair();
  peer.write('x');
  await assert.rejects(
    channel.take(() => {
      throw new RangeError('no');
    }),
    RangeError,
  );
});

test('an ended channel lets a peer that never stops sending go', async () => {
  const { channel, peer } = await pair();
  const closed = once(channel.socket, 'close');
  channel.write(Buffer.from('bye'));
  channel.end();
  const [answer] = (await once(peer, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'bye');
  await closed;
});

test('an ended channel sends what is left, however long the peer takes to begin with it', async (t) => {
  const { channel, peer } = await pair();
  const size = 16 * 1024 * 1024;
  channel.write(Buffer.alloc(size, 'x'));
  t.mock.timers.enable({ apis: ['setTimeout'] });
  channel.end();
  t.mock.timers.tick(60_000);
  let received = 0;
  peer.on('data', (chunk) => {
    received += chunk.length;
  });
  await once(peer, 'end');
  assert.equal(received, size);
  peer.destroy();
});

test('an ended channel lets a peer go that takes nothing, even if it sends', async () => {
  const { channel, peer } = await pair(200);
  channel.write(Buffer.alloc(16 * 1024 * 1024, 'x'));
  channel.end();
  const drip = setInterval(() => peer.write('x'), 20);
  await once(channel.socket, 'close');
  clearInterval(drip);
  peer.on('error', () => {}).destroy();
});

test('what may be written next waits until the peer has taken what was', async () => {
  const { channel, peer } = await pair();
  peer.pause();
  await channel.drained();
  channel.write(Buffer.alloc(16 * 1024 * 1024, 'x'));
  let drained = false;
  const waiting = channel.drained().then(() => {
    drained = true;
  });
  peer.write('y');
  await bytes(channel, 1);
  assert.equal(drained, false);
  peer.resume();
  await waiting;
  peer.destroy();
});

test('whoever waits for a peer to take what was written learns of its loss', async () => {
  const { channel } = await pair(50);
  channel.write(Buffer.alloc(16 * 1024 * 1024, 'x'));
  await assert.rejects(channel.drained(), (error: ChannelLost) => error.code === 'idle');
});

test('a fast sender is read once before all others have their turn', async () => {
  const [from, to] = [await pair(), await pair()];
  const size = 8 * 1024 * 1024;
  from.peer.end(Buffer.alloc(size, 'x'));
  to.peer.resume();
  let [most, reads] = [0, 0];
  const taken = from.channel.take((chunk) => {
    reads++;
    to.channel.write(chunk);
    from.channel.paceTo(to.channel, chunk.length);
    return undefined;
  });
  let done = false;
  void taken.then(() => {
    done = true;
  });
  while (!done) {
    await setImmediate();
    [most, reads] = [Math.max(most, reads), 0];
  }
  assert.ok(most <= 2, `${most} pieces in one turn`);
});

test('a limit that is lifted holds again from when it is set, though nothing moved meanwhile', async () => {
  const { channel } = await pair(20);
  const passed = once(channel.socket, 'timeout');
  channel.limitIdle(0);
  await passed;
  assert.equal(channel.lost, false);
  channel.limitIdle(20);
  await assert.rejects(bytes(channel, 1), (error: ChannelLost) => error.code === 'idle');
});

test('what is written together arrives in order, also within one another', async () => {
  const { channel, peer } = await pair();
  channel.together(() => {
    channel.write(Buffer.from('a'));
    channel.together(() => channel.write(Buffer.from('b')));
    channel.write(Buffer.from('c'));
  });
  channel.write(Buffer.from('d'));
  channel.end();
  let received = '';
  peer.on('data', (chunk) => {
    received += chunk;
  });
  await once(peer, 'end');
  assert.equal(received, 'abcd');
  peer.destroy();
});
