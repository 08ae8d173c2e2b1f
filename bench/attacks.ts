/**
 * What a bad neighbour does, in a process of its own: `fork('bench/attacks.ts', [name, gatewayPort])`. Tells its parent
 * once it is under way, and goes on until it is killed.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

const [name = '', port = ''] = process.argv.slice(2);

/** As many as asked for, as far as this process and the gateway may open files. */
function most(count: number): number {
  const limit = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(count, Number(limit ?? 1024) - 500);
}

/** Connections come from several addresses, since one has only so many ports. */
const PER_ADDRESS = 5_000;
let opened = 0;

function open(): Socket {
  const localAddress = `127.0.0.${2 + (Math.floor(opened++ / PER_ADDRESS) % 100)}`;
  const socket = connect({ host: '127.0.0.1', port: Number(port), localAddress, noDelay: true });
  return socket.on('error', () => {});
}

/** Opens a few at a time, so that the gateway's queue of new connections does not overflow. */
async function openAll(count: number, each: (socket: Socket, n: number) => unknown): Promise<void> {
  for (let done = 0; done < count; done += 100) {
    const batch = Array.from({ length: Math.min(100, count - done) }, async (_, i) => {
      const socket = open();
      await once(socket, 'connect');
      await each(socket, done + i);
    });
    await Promise.all(batch);
  }
}

function get(url: string): string {
  return `GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`;
}

const OWN_PAGE = get('http://sekisho.internal/v1/whoami');
const DENIED = get('http://denied.example/');

async function idle(): Promise<void> {
  await openAll(most(20_000), async (socket) => {
    socket.write(OWN_PAGE);
    await once(socket, 'data');
  });
}

async function dripHeads(): Promise<void> {
  const drip = (socket: Socket) => {
    socket.write('GET http://api.localhost/?');
    const timer = setInterval(() => socket.write('a'), 100);
    // Cut for being too slow: the next one takes its place.
    socket.resume().once('close', () => {
      clearInterval(timer);
      drip(open());
    });
  };
  await openAll(1_000, drip);
}

/** A server that sends as fast as it is read, and the text of a request to it. */
async function startPouring(): Promise<{ request: string; bytes(): number }> {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let bytes = 0;
  const server = createServer((socket) => {
    const pour = () => {
      do bytes += chunk.length;
      while (socket.write(chunk));
    };
    socket.on('error', () => {}).on('drain', pour);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      pour();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { request: get(`http://api.localhost:${port}/`), bytes: () => bytes };
}

/** Each takes one piece every two seconds. */
async function slowReaders(): Promise<void> {
  const pouring = await startPouring();
  await openAll(200, (socket) => {
    socket.write(pouring.request);
    socket.on('data', () => socket.pause());
    setInterval(() => socket.resume(), 2_000);
  });
  // Until the buffers of the system are full on all hops, these are fast readers.
  for (let before = 0; pouring.bytes() - before > 50e6; ) {
    before = pouring.bytes();
    await wait(1_000);
  }
}

async function downloads(): Promise<void> {
  const pouring = await startPouring();
  await openAll(20, (socket) => {
    socket.write(pouring.request);
    socket.resume();
  });
}

async function refusals(): Promise<void> {
  const sockets: Socket[] = [];
  await openAll(20, (socket) => sockets.push(socket.resume()));
  setInterval(() => {
    for (const socket of sockets) socket.write(DENIED);
  }, 10);
}

async function silentResolver(): Promise<void> {
  let names = 0;
  await openAll(500, (socket) => {
    const ask = () => socket.write(get(`http://name-${names++}.test/`));
    socket.on('data', ask);
    ask();
  });
}

/** To the gateway's second listener, where one connection is all that a client may have. */
async function beyondLimits(): Promise<void> {
  await openAll(1, () => {});
  setInterval(() => {
    for (let n = 0; n < 10; n++) {
      const socket = open().resume();
      socket.once('connect', () => socket.end(DENIED));
    }
  }, 10);
}

const ATTACKS: Readonly<Record<string, () => Promise<void>>> = {
  idle,
  'drip-heads': dripHeads,
  'slow-readers': slowReaders,
  downloads,
  refusals,
  'silent-resolver': silentResolver,
  'beyond-limits': beyondLimits,
};

await ATTACKS[name]?.();
// What the beginning of it cost is not measured.
await wait(500);
process.send?.('under way');
