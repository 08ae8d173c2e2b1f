import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { noNative, TcpPairs } from '../../test/support/tcp-pairs.ts';
import type { TunnelEnd } from '../core/conversation.ts';
import { onceEnded } from '../tcp/hand-over.ts';
import { type NativeRelay, nativeRelay } from './native-relay.ts';
import { nativeTunnel } from './native-tunnel.ts';
import { pipedTunnel } from './piped-tunnel.ts';
import type { Ends, TunnelTerms } from './tunnel-ends.ts';

/** The ways, which nobody outside can tell apart. */
const WAYS = {
  'piped, of Node': { sockets: 'node', skip: false, run: pipedTunnel },
  'native sockets, piped': { sockets: 'native', skip: noNative, run: pipedTunnel },
  native: {
    sockets: 'native',
    skip: noNative,
    run(ends: Ends, terms: TunnelTerms): Promise<TunnelEnd> {
      const tunnel = nativeTunnel(nativeRelay() as NativeRelay, ends, terms);
      assert.ok(tunnel !== undefined, 'it was not handed over');
      return tunnel;
    },
  },
} as const;

const NEVER_MS = 600_000;
/** As in `native/tunnel.c`. */
const MOST_SPARE_PIPES = 16;
const NOTHING: readonly Buffer[] = [];
interface Scene {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly ends: Ends;
  readonly ended: Promise<TunnelEnd>;
  breakOff(): void;
}

type Run = (ends: Ends, terms: TunnelTerms) => Promise<TunnelEnd>;

async function open(
  pairs: TcpPairs,
  run: Run,
  options: { idleMs?: number; earlyUp?: string; earlyDown?: string } = {},
): Promise<Scene> {
  const { peer: client, socket: near } = await pairs.pair();
  const { peer: upstream, socket: far } = await pairs.pair();
  const early = (text: string | undefined) => (text === undefined ? NOTHING : [Buffer.from(text)]);
  const ends: Ends = {
    client: near,
    upstream: far,
    earlyUp: early(options.earlyUp),
    earlyDown: early(options.earlyDown),
  };
  let breakOff = () => {};
  const ended = run(ends, {
    idleMs: options.idleMs ?? NEVER_MS,
    onOpen: (way) => {
      breakOff = way;
    },
  });
  return { client, upstream, ends, ended, breakOff: () => breakOff() };
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) text += chunk;
  return text;
}

/** How many descriptors of a kind are open. */
function descriptors(kind: 'socket' | 'pipe'): number {
  return readdirSync('/proc/self/fd').filter((fd) => kindOf(fd).startsWith(kind)).length;
}

function kindOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The one that the folder was read by.
    return '';
  }
}

for (const [name, { sockets: kind, skip, run }] of Object.entries(WAYS)) {
  const each = (what: string, body: (pairs: TcpPairs) => Promise<void>) =>
    test(`${name}: ${what}`, { skip }, async () => {
      const pairs = await TcpPairs.open(kind);
      await body(pairs).finally(() => pairs.close());
    });

  each('early bytes come first, and each FIN after all that was said before it', async (pairs) => {
    const scene = await open(pairs, run, { earlyUp: 'hello ', earlyDown: 'greeting ' });
    scene.client.end('upstream');
    assert.equal(await textOf(scene.upstream), 'hello upstream');
    scene.upstream.end('client');
    assert.equal(await textOf(scene.client), 'greeting client');
    assert.deepEqual(await scene.ended, { error: null, bytesUp: 14, bytesDown: 15 });
  });

  each('a half-closed side may still be sent to, and may still send', async (pairs) => {
    const scene = await open(pairs, run);
    scene.upstream.end();
    assert.equal(await textOf(scene.client), '');
    for (const word of ['a', 'b']) {
      scene.client.write(word);
      assert.equal(String((await once(scene.upstream, 'data'))[0]), word);
    }
    scene.client.end();
    assert.deepEqual(await scene.ended, { error: null, bytesUp: 2, bytesDown: 0 });
  });

  for (const [who, error] of [
    ['client', 'client-reset'],
    ['upstream', 'upstream-reset'],
  ] as const) {
    each(`a reset by the ${who} ends it`, async (pairs) => {
      const scene = await open(pairs, run);
      const other = who === 'client' ? scene.upstream : scene.client;
      const closed = once(other.resume(), 'end');
      scene[who].resetAndDestroy();
      assert.deepEqual(await scene.ended, { error, bytesUp: 0, bytesDown: 0 });
      await closed;
      other.destroy();
    });
  }

  each('it ends when nothing moves', async (pairs) => {
    const scene = await open(pairs, run, { idleMs: 50 });
    scene.client.write('x');
    assert.deepEqual(await scene.ended, { error: 'idle-timeout', bytesUp: 1, bytesDown: 0 });
    scene.client.destroy();
    scene.upstream.destroy();
  });

  each('it can be broken off, once', async (pairs) => {
    const scene = await open(pairs, run);
    const closed = [scene.client, scene.upstream].map((one) => once(one.resume(), 'end'));
    scene.breakOff();
    scene.breakOff();
    assert.deepEqual(await scene.ended, { error: null, bytesUp: 0, bytesDown: 0 });
    scene.breakOff();
    await Promise.all(closed);
    scene.client.destroy();
    scene.upstream.destroy();
  });

  each('the connection of the client lasts as long as the tunnel', async (pairs) => {
    const scene = await open(pairs, run);
    let gone = false;
    const end = new Promise<void>((resolve) => {
      onceEnded(scene.ends.client, () => {
        gone = true;
        resolve();
      });
    });
    scene.client.write('x');
    await once(scene.upstream, 'data');
    assert.equal(gone, false);
    scene.client.destroy();
    scene.upstream.destroy();
    await end;
  });

  each('a side that takes nothing holds the other back', async (pairs) => {
    const scene = await open(pairs, run);
    scene.upstream.pause();
    const piece = Buffer.alloc(1024 * 1024);
    let sent = 0;
    // Loopback holds some megabytes; what a tunnel held would have no bound.
    while (sent < 64 && (scene.client.write(piece) || (await drains(scene.client)))) sent++;
    assert.ok(sent < 64, `${sent} MB were taken`);
    let received = 0;
    scene.upstream.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    scene.client.end();
    await once(scene.upstream.resume(), 'end');
    assert.equal(received, scene.client.bytesWritten);
    scene.upstream.end();
    assert.equal((await scene.ended).bytesUp, received);
  });

  each(
    'any size, ended in any way, both ways at once: every byte, and no descriptor',
    async (pairs) => {
      await turn();
      const [sockets, pipes] = [descriptors('socket'), descriptors('pipe')];
      const random = new Random(name.length);
      for (let round = 0; round < 8; round++) {
        await Promise.all(Array.from({ length: 12 }, () => stress(pairs, run, random)));
      }
      await turn();
      await turn();
      assert.ok(descriptors('socket') <= sockets);
      assert.ok(descriptors('pipe') - pipes <= MOST_SPARE_PIPES * 2);
    },
  );
}

test('what is ended already is piped, with all that was read of it', async () => {
  const pairs = await TcpPairs.open(noNative === false ? 'native' : 'node');
  const scene = await open(pairs, async (ends, terms) => {
    ends.client.end();
    const relay = nativeRelay();
    if (relay !== undefined) assert.equal(nativeTunnel(relay, ends, terms), undefined);
    return pipedTunnel(ends, terms);
  });
  pairs.close();
  scene.client.end('up');
  scene.upstream.end('down');
  assert.equal(await textOf(scene.upstream), 'up');
  assert.equal(await textOf(scene.client), '');
  assert.equal((await scene.ended).bytesUp, 2);
});

/** Whether a socket takes more before nothing has moved for a while. */
function drains(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 200);
    socket.once('drain', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

const FATES = ['in order', 'client-reset', 'upstream-reset', 'idle-timeout', 'broken off'] as const;
const SIZES = [0, 1, 700, 65_535, 65_537, 200_000, 1_500_000];

/** One tunnel of random sizes and a random end. */
async function stress(pairs: TcpPairs, run: Run, random: Random): Promise<void> {
  const fate = random.of(FATES);
  // On a busy machine it may be idle before all was said.
  const isCut = fate !== 'in order' && fate !== 'idle-timeout';
  const scene = await open(pairs, run, { idleMs: fate === 'idle-timeout' ? 300 : NEVER_MS });
  const [up, down] = [Talk.of(random), Talk.of(random)];
  const closes = fate === 'in order';
  const all = [
    up.say(scene.client, closes),
    up.hear(scene.upstream),
    down.say(scene.upstream, closes),
    down.hear(scene.client),
  ];
  if (isCut) {
    await up.heard(random.below(up.size + 1));
    if (fate === 'client-reset') scene.client.resetAndDestroy();
    else if (fate === 'upstream-reset') scene.upstream.resetAndDestroy();
    else scene.breakOff();
  }
  const end = await scene.ended;
  await Promise.all(all);
  assert.equal(end.error, fate === 'in order' || fate === 'broken off' ? null : fate);
  for (const [talk, bytes] of [
    [up, end.bytesUp],
    [down, end.bytesDown],
  ] as const) {
    assert.equal(talk.wrong, undefined, fate);
    assert.ok(talk.received <= bytes && bytes <= talk.size, fate);
    if (fate === 'in order') assert.deepEqual([talk.received, bytes], [talk.size, talk.size], fate);
  }
  scene.client.destroy();
  scene.upstream.destroy();
  await Promise.all([scene.client, scene.upstream].map((one) => one.closed || once(one, 'close')));
}

/** What one side says to the other: bytes of which each tells where it stands. */
class Talk {
  readonly size: number;
  received = 0;
  /** The first place at which something else was heard than was said. */
  wrong: number | undefined;
  readonly #key: number;
  readonly #random: Random;
  #waiting: { readonly bytes: number; readonly resolve: () => void } | undefined;
  #over = false;

  constructor(size: number, random: Random) {
    this.size = size;
    this.#key = random.below(251);
    this.#random = random;
  }

  static of(random: Random): Talk {
    return new Talk(random.of(SIZES), random);
  }

  async say(socket: Socket, closes: boolean): Promise<void> {
    for (let at = 0; at < this.size && !socket.destroyed; ) {
      const piece = this.#bytes(at, Math.min(this.size - at, 1 + this.#random.below(90_000)));
      at += piece.length;
      if (!socket.write(piece)) await either(socket, 'drain', 'close');
    }
    if (closes && !socket.destroyed) socket.end();
  }

  async hear(socket: Socket): Promise<void> {
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    await either(socket, 'end', 'close');
    this.#over = true;
    this.#waiting?.resolve();
  }

  /** Resolves once so much has arrived, or no more will. */
  async heard(bytes: number): Promise<void> {
    if (this.#over || this.received >= bytes) return;
    await new Promise<void>((resolve) => {
      this.#waiting = { bytes, resolve };
    });
  }

  #take(chunk: Buffer): void {
    if (!chunk.equals(this.#bytes(this.received, chunk.length))) this.wrong ??= this.received;
    this.received += chunk.length;
    if (this.#waiting !== undefined && this.received >= this.#waiting.bytes)
      this.#waiting.resolve();
  }

  #bytes(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) {
      const place = at + i;
      bytes[i] = this.#key + place + (place >> 8) * 7 + (place >> 16) * 13;
    }
    return bytes;
  }
}

function either(socket: Socket, ...events: readonly string[]): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) socket.off(event, done);
      resolve();
    };
    for (const event of events) socket.on(event, done);
  });
}

/** Numbers that are the same in every run (Park and Miller). */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(bound: number): number {
    this.#state = (this.#state * 48_271) % 2_147_483_647;
    return this.#state % bound;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
}
