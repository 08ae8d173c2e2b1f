import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { SOCKET_KINDS, type SocketKind, TcpPairs } from '../../test/support/tcp-pairs.ts';
import { Channel, ChannelLost } from './channel.ts';

type Pair = (idleMs?: number) => Promise<{ channel: Channel; peer: Socket }>;

/** On sockets of either kind. */
function each(what: string, body: (pair: Pair, t: TestContext) => Promise<void>): void {
  for (const [kind, skip] of Object.entries(SOCKET_KINDS)) {
    test(`${what} (${kind})`, { skip }, async (t) => {
      const pairs = await TcpPairs.open(kind as SocketKind);
      const peers: Socket[] = [];
      t.after(() => {
        for (const peer of peers) peer.destroy();
        pairs.close();
      });
      const pair: Pair = async (idleMs = 60_000) => {
        const { socket, peer } = await pairs.pair();
        peers.push(peer);
        return { channel: new Channel(socket, idleMs), peer };
      };
      await body(pair, t);
    });
  }
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

each('what one taker leaves goes to the next, in order', async (pair) => {
  const { channel, peer } = await pair();
  peer.write('headbody');
  assert.equal(await bytes(channel, 4), 'head');
  peer.write('more');
  assert.equal(await bytes(channel, 8), 'bodymore');
});

each(
  'bytes that arrive while nobody takes come after those that were handed back',
  async (pair) => {
    const { channel, peer } = await pair();
    peer.write('head1');
    assert.equal(await bytes(channel, 4), 'head');
    // So that it is read although nobody takes.
    channel.socket.resume();
    const arrived = once(channel.socket, 'data');
    peer.write('2');
    await arrived;
    assert.equal(await bytes(channel, 2), '12');
  },
);

each('a FIN gives undefined, after the bytes that came before it', async (pair) => {
  const { channel, peer } = await pair();
  peer.end('last');
  assert.equal(await bytes(channel, 2), 'la');
  assert.equal(await bytes(channel, 2), 'st');
  assert.equal(await bytes(channel, 1), undefined);
  assert.equal(await bytes(channel, 1), undefined);
});

each('a reset reaches the taker that waits, and every later one', async (pair) => {
  const { channel, peer } = await pair();
  const waiting = bytes(channel, 1);
  peer.resetAndDestroy();
  await assert.rejects(waiting, (error: ChannelLost) => error.code === 'reset');
  await assert.rejects(bytes(channel, 1), ChannelLost);
  assert.ok(channel.disturbed);
});

each('an idle connection is given up and says so', async (pair) => {
  const { channel } = await pair(20);
  await assert.rejects(bytes(channel, 1), (error: ChannelLost) => error.code === 'idle');
  assert.ok(channel.lost);
});

each('bytes that nobody takes stop the reading instead of piling up', async (pair) => {
  const { channel, peer } = await pair();
  channel.socket.resume();
  let read = 0;
  channel.socket.on('data', (chunk: Buffer) => {
    read += chunk.length;
  });
  while (peer.write(Buffer.alloc(1024 * 1024, 'x')));
  await once(channel.socket, 'data');
  for (let i = 0; i < 20; i++) await setImmediate();
  assert.ok(read <= 128 * 1024, `${read} bytes`);
  assert.equal(await bytes(channel, 3), 'xxx');
});

each('what a step throws reaches whoever takes', async (pair) => {
  const { channel, peer } = await pair();
  peer.write('x');
  await assert.rejects(
    channel.take(() => {
      throw new RangeError('no');
    }),
    RangeError,
  );
});

each('an ended channel lets a peer that never stops sending go', async (pair) => {
  const { channel, peer } = await pair();
  const closed = once(channel.socket, 'close');
  channel.write(Buffer.from('bye'));
  channel.end();
  const [answer] = (await once(peer, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'bye');
  await closed;
});

each(
  'an ended channel sends what is left, however long the peer takes to begin with it',
  async (pair, t) => {
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
  },
);

each('an ended channel lets a peer go that takes nothing, even if it sends', async (pair) => {
  const { channel, peer } = await pair(200);
  channel.write(Buffer.alloc(16 * 1024 * 1024, 'x'));
  channel.end();
  const drip = setInterval(() => peer.write('x'), 20);
  await once(channel.socket, 'close');
  clearInterval(drip);
  peer.on('error', () => {}).destroy();
});

each('what may be written next waits until the peer has taken what was', async (pair) => {
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

each('whoever waits for a peer to take what was written learns of its loss', async (pair) => {
  const { channel } = await pair(50);
  channel.write(Buffer.alloc(16 * 1024 * 1024, 'x'));
  await assert.rejects(channel.drained(), (error: ChannelLost) => error.code === 'idle');
});

each('a fast sender is read once before all others have their turn', async (pair) => {
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

each(
  'a limit that is lifted holds again from when it is set, though nothing moved meanwhile',
  async (pair) => {
    const { channel } = await pair(20);
    const passed = once(channel.socket, 'timeout');
    channel.limitIdle(0);
    await passed;
    assert.equal(channel.lost, false);
    channel.limitIdle(20);
    await assert.rejects(bytes(channel, 1), (error: ChannelLost) => error.code === 'idle');
  },
);

each('what is written together arrives in order, also within one another', async (pair) => {
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

each('a take that is in a hurry ends as too slow, however much moves', async (pair) => {
  const { channel, peer } = await pair();
  const drip = setInterval(() => peer.write('x'), 5);
  const slow = channel.take(() => undefined, 50);
  await assert.rejects(slow, (error: ChannelLost) => error.code === 'too-slow');
  clearInterval(drip);
  assert.equal(channel.lost, false);
});

each('the limit of one take is not that of the next', async (pair) => {
  const { channel, peer } = await pair();
  peer.write('a');
  assert.equal(await channel.take(String, 20), 'a');
  const next = channel.take(String);
  setTimeout(() => peer.write('b'), 60);
  assert.equal(await next, 'b');
});

each('what is there already is given without waiting', async (pair) => {
  const { channel, peer } = await pair();
  peer.write('headbody');
  assert.equal(await bytes(channel, 4), 'head');
  let ready = '';
  channel.takeReady((chunk) => {
    ready += chunk;
  });
  channel.takeReady(() => assert.fail('there was no more'));
  assert.equal(ready, 'body');
});
