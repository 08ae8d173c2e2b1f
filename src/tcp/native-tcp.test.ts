import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { noNative, TcpPairs } from '../../test/support/tcp-pairs.ts';
import { Ip } from '../core/ip.ts';
import { connectTcp } from './connect.ts';
import { listenTcp, type TcpListening } from './listen.ts';
import { NativeSocket, nodeSocket } from './native-socket.ts';
import type { TcpSocket } from './tcp-socket.ts';

const skip = noNative;
const HERE = { host: '127.0.0.1', port: 0 };
const LOOPBACK = Ip.parse('127.0.0.1') as Ip;

const FEW_FILES = 64;
/** Says its port, and echoes. */
const ECHO_PROCESS = [
  '--input-type=module',
  '--eval',
  `const { listenTcp } = await import(${JSON.stringify(new URL('listen.ts', import.meta.url).href)});
  const accepted = (socket) => {
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('end', () => socket.destroy()).on('error', () => {});
    socket.resume();
  };
  const { address } = await listenTcp({ host: '127.0.0.1', port: 0 }, { accepted, failed() {} });
  console.log(address.port);`,
];

interface Accepting extends TcpListening {
  readonly accepted: TcpSocket[];
  next(): Promise<TcpSocket>;
}

async function accepting(t: TestContext): Promise<Accepting> {
  const accepted: TcpSocket[] = [];
  let tell = () => {};
  const listening = await listenTcp(HERE, {
    accepted: (socket) => {
      accepted.push(socket);
      tell();
    },
    failed: () => {},
  });
  t.after(() => {
    listening.close();
    for (const socket of accepted) socket.destroy();
  });
  const next = async () => {
    while (accepted.length === 0) {
      await new Promise<void>((resolve) => {
        tell = resolve;
      });
    }
    return accepted.shift() as TcpSocket;
  };
  return { ...listening, accepted, next };
}

function client(t: TestContext, { address }: TcpListening): Socket {
  const socket = connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

test('what is accepted and what is connected are native sockets', { skip }, async (t) => {
  const listening = await accepting(t);
  const socket = connectTcp({ to: LOOPBACK, port: listening.address.port, from: undefined });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  assert.ok(socket instanceof NativeSocket);
  assert.ok((await listening.next()) instanceof NativeSocket);
});

test('a socket whose number was another one’s is told nothing of it', { skip }, async (t) => {
  const listening = await accepting(t);
  for (let i = 0; i < 50; i++) {
    const [peer, gone] = [client(t, listening), await listening.next()];
    gone.on('data', () => assert.fail('it is closed'));
    gone.resume();
    peer.write('late');
    gone.destroy();
    const successor = connectTcp({ to: LOOPBACK, port: listening.address.port, from: undefined });
    successor.on('data', () => assert.fail('nobody spoke to it')).on('error', () => {});
    successor.resume();
    await once(successor, 'connect');
    await listening.next();
    await turn();
    successor.destroy();
    peer.destroy();
  }
});

test('whoever is accepted in the turn in which the listener is closed is reset', {
  skip,
}, async (t) => {
  const accepted: TcpSocket[] = [];
  const listening: TcpListening = await listenTcp(HERE, {
    accepted: (socket) => {
      accepted.push(socket);
      listening.close();
    },
    failed: () => {},
  });
  const peers = [client(t, listening), client(t, listening), client(t, listening)];
  const closed = peers.map(
    (peer) => new Promise((resolve) => peer.resume().once('close', resolve)),
  );
  while (accepted.length === 0) await turn();
  accepted[0]?.resetAndDestroy();
  await Promise.all(closed);
  assert.equal(accepted.length, 1);
});

test('a listener that is handed on is accepted from by whoever has it', { skip }, async (t) => {
  const first = await accepting(t);
  const accepted: TcpSocket[] = [];
  const second = await listenTcp(
    { handle: first.handle },
    { accepted: (socket) => accepted.push(socket), failed: () => {} },
  );
  t.after(() => second.close());
  first.close();
  const peer = client(t, second);
  await once(peer, 'connect');
  while (accepted.length === 0) await turn();
  accepted[0]?.end();
  await once(peer.resume(), 'end');
});

test('a connection that is refused, or cannot leave from an address, says so', {
  skip,
}, async (t) => {
  const listening = await accepting(t);
  const { port } = listening.address;
  const nowhere = Ip.parse('192.0.2.1') as Ip;
  const unbound = connectTcp({ to: LOOPBACK, port, from: nowhere });
  const [bind] = (await once(unbound, 'error')) as [NodeJS.ErrnoException];
  assert.deepEqual([bind.code, bind.syscall], ['EADDRNOTAVAIL', 'bind']);
  listening.close();
  const refused = connectTcp({ to: LOOPBACK, port, from: undefined });
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  assert.ok(refused.destroyed);
});

test('without a descriptor left peers are turned away, and taken again later', {
  skip,
}, async (t) => {
  const child = spawn('prlimit', [`--nofile=${FEW_FILES}`, process.execPath, ...ECHO_PROCESS], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  const port = Number(String((await once(child.stdout, 'data'))[0]));
  const peers = Array.from({ length: 2 * FEW_FILES }, () => {
    const peer = connect({ host: '127.0.0.1', port }).on('error', () => {});
    peer.write('x');
    return peer;
  });
  t.after(() => {
    for (const peer of peers) peer.destroy();
  });
  const fates = peers.map((peer) =>
    Promise.race([
      new Promise((resolve) => peer.once('data', () => resolve('served'))),
      new Promise((resolve) => peer.once('close', () => resolve('turned away'))),
    ]),
  );
  const all = await Promise.all(fates);
  const served = all.filter((fate) => fate === 'served').length;
  assert.ok(served > 0 && served < FEW_FILES, `${served} were served`);
  for (const peer of peers) peer.destroy();
  for (let answer: unknown; answer !== 'served'; ) {
    const late = connect({ host: '127.0.0.1', port }).on('error', () => {});
    late.write('x');
    answer = await new Promise((resolve) => {
      late.once('data', () => resolve('served')).once('close', () => resolve('turned away'));
    });
    late.destroy();
  }
});

test('a fault in what one socket is told does not keep the others from theirs', {
  skip,
}, async (t) => {
  const pairs = await TcpPairs.open('native');
  t.after(() => pairs.close());
  const [faulty, sound] = [await pairs.pair(), await pairs.pair()];
  const fault = new Error('a fault of the test');
  const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  faulty.socket.on('data', () => {
    throw fault;
  });
  const heard = once(sound.socket, 'data');
  faulty.socket.resume();
  sound.socket.resume();
  faulty.peer.write('x');
  sound.peer.write('y');
  assert.equal(String((await heard)[0]), 'y');
  assert.equal(await uncaught, fault);
  for (const { socket, peer } of [faulty, sound]) {
    socket.destroy();
    peer.destroy();
  }
});

test('as a socket of Node’s it goes on where it was', { skip }, async (t) => {
  const pairs = await TcpPairs.open('native');
  t.after(() => pairs.close());
  const { socket, peer } = await pairs.pair();
  const taken = once(socket, 'data') as Promise<[Buffer]>;
  socket.resume();
  peer.write('taken ');
  const [early] = await taken;
  socket.pause();
  peer.end('later');
  const node = nodeSocket(socket, early);
  let text = '';
  for await (const chunk of node.iterator({ destroyOnReturn: false })) text += chunk;
  assert.equal(text, 'taken later');
  node.end('answer');
  assert.equal(String((await once(peer, 'data'))[0]), 'answer');
});

test('a peer that takes nothing has what is written held, in order, and FIN behind it', {
  skip,
}, async (t) => {
  const pairs = await TcpPairs.open('native');
  t.after(() => pairs.close());
  const { socket, peer } = await pairs.pair();
  const pieces = Array.from({ length: 40 }, (_, i) => Buffer.alloc(300_000, i));
  for (const piece of pieces) socket.write(piece);
  assert.equal(socket.writableNeedDrain, true);
  const sent = new Promise<void>((resolve) => socket.end(resolve));
  const received: Buffer[] = [];
  for await (const chunk of peer.iterator({ destroyOnReturn: false })) received.push(chunk);
  await sent;
  assert.ok(Buffer.concat(received).equals(Buffer.concat(pieces)));
  socket.destroy();
  peer.destroy();
});
