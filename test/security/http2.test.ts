import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { OK } from '../support/credential-gateway.ts';
import { askHttp2 } from '../support/http2.ts';
import {
  block,
  CODE,
  type Field,
  FLAG,
  FRAME,
  FramePeer,
  frame,
  headers,
  resetStream,
  windowUpdate,
} from '../support/http2-frames.ts';
import { type InterceptSetting, startIntercepting } from '../support/intercept-gateway.ts';

const { END_STREAM, END_HEADERS } = FLAG;
const INITIAL_WINDOW_SIZE = 4;

/** A client that sends HTTP/2 frame by frame, towards a destination that speaks HTTP/1.1. */
async function startScene(t: TestContext, setting: InterceptSetting = {}) {
  const scene = await startIntercepting(t, setting);
  const { authority } = scene;
  const get = (more: readonly Field[] = [], changed: Readonly<Record<string, string>> = {}) => {
    const pseudo = { ':method': 'GET', ':scheme': 'https', ':authority': authority, ':path': '/' };
    return [...Object.entries({ ...pseudo, ...changed }), ...more];
  };
  return {
    ...scene,
    get,
    async peer(settings: Readonly<Record<number, number>> = {}): Promise<FramePeer> {
      return new FramePeer(await scene.open({ ALPNProtocols: ['h2'] })).begin(settings);
    },
    /** Others are served as ever. */
    async assertServes(path = '/') {
      const client = await scene.session();
      assert.equal((await askHttp2(client, { ':path': path })).status, 200);
      client.close();
    },
  };
}

/** However it comes about. */
function closeOf(socket: Duplex): Promise<void> {
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

const without = (fields: readonly Field[], name: string) => fields.filter(([own]) => own !== name);

type Get = Awaited<ReturnType<typeof startScene>>['get'];
type Attempt = (get: Get, authority: string) => readonly Buffer[];

const asGet =
  (...more: Field[]): Attempt =>
  (get) => [headers(1, get(more), END_STREAM)];
const asHead =
  (changed: Record<string, string>): Attempt =>
  (get) => [headers(1, get([], changed), END_STREAM)];
const asBody =
  (body: string, ...more: Field[]): Attempt =>
  (get) => [
    headers(1, get(more, { ':method': 'POST' }), 0),
    frame(FRAME.DATA, END_STREAM, 1, body),
  ];

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: evil.localhost\r\n\r\n';

/** What would be another request, or another field, behind a downgrade to HTTP/1.1. */
const REFUSED: Readonly<Record<string, Attempt>> = {
  'a coding of transfer': asBody(`0\r\n\r\n${SMUGGLED}`, ['transfer-encoding', 'chunked']),
  'a coding of transfer in capitals': asBody(SMUGGLED, ['Transfer-Encoding', 'chunked']),
  'a length that is shorter than the body': asBody(SMUGGLED, ['content-length', '0']),
  'a length that is longer than the body': asBody('x', ['content-length', '5']),
  'a length without a body': asGet(['content-length', '5']),
  'two lengths': asBody('abc', ['content-length', '3'], ['content-length', '3']),
  'a list of lengths': asBody('abc', ['content-length', '3, 3']),
  'a length with a sign': asBody('abc', ['content-length', '+3']),
  'the field Connection': asGet(['connection', 'x-forwarded-for']),
  'the field Upgrade': asGet(['upgrade', 'websocket']),
  'the field Keep-Alive': asGet(['keep-alive', '5']),
  'the field Proxy-Connection': asGet(['proxy-connection', 'keep-alive']),
  'a TE of other than trailers': asGet(['te', 'chunked']),
  'a name in capitals': asGet(['X-Evil', '1']),
  'a path with a line end': asHead({
    ':path': `/ HTTP/1.1\r\nHost: evil.localhost\r\n\r\n${SMUGGLED}`,
  }),
  'a path with a space': asHead({ ':path': '/x HTTP/1.1' }),
  'a path with a NUL': asHead({ ':path': '/\0' }),
  'a path with a fragment': asHead({ ':path': '/x#y' }),
  'a path without a slash': asHead({ ':path': 'x' }),
  'a path in absolute form': asHead({ ':path': 'https://evil.localhost/' }),
  'an empty path': asHead({ ':path': '' }),
  'an asterisk for a GET': asHead({ ':path': '*' }),
  'a method with a line end': asHead({ ':method': `GET / HTTP/1.1\r\nX: ` }),
  'a method with a space': asHead({ ':method': 'GET /evil' }),
  'an empty method': asHead({ ':method': '' }),
  'another host': asHead({ ':authority': 'evil.localhost' }),
  'another port': asHead({ ':authority': 'api.localhost:1' }),
  'a user in the authority': (get, own) => asHead({ ':authority': `evil@${own}` })(get, own),
  'a path in the authority': (get, own) => asHead({ ':authority': `${own}/evil` })(get, own),
  'a query in the authority': (get, own) => asHead({ ':authority': `${own}?evil` })(get, own),
  'a line end in the authority': (get, own) =>
    asHead({ ':authority': `${own}\r\nevil: 1` })(get, own),
  'a Host that is another': asGet(['host', 'evil.localhost']),
  'two Hosts': (get, own) => asGet(['host', own], ['host', own])(get, own),
  'the scheme http': asHead({ ':scheme': 'http' }),
  'another scheme': asHead({ ':scheme': 'ftp' }),
  'two paths': asGet([':path', '/evil']),
  'two authorities': asGet([':authority', 'evil.localhost']),
  'a pseudo-header field behind others': asGet(['x-a', '1'], [':path', '/evil']),
  'a pseudo-header field of a response': asGet([':status', '200']),
  'a pseudo-header field that nobody knows': asGet([':evil', '1']),
  'no method': (get) => [headers(1, without(get(), ':method'), END_STREAM)],
  'no scheme': (get) => [headers(1, without(get(), ':scheme'), END_STREAM)],
  'no path': (get) => [headers(1, without(get(), ':path'), END_STREAM)],
  'neither authority nor Host': (get) => [headers(1, without(get(), ':authority'), END_STREAM)],
  'a CONNECT': (_get, own) => [
    headers(
      1,
      [
        [':method', 'CONNECT'],
        [':authority', own],
      ],
      0,
    ),
  ],
  'an extended CONNECT': (get) => [
    headers(1, get([[':protocol', 'websocket']], { ':method': 'CONNECT' }), 0),
  ],
  'a trailer that frames': (get) => [
    headers(1, get([], { ':method': 'POST' }), 0),
    frame(FRAME.DATA, 0, 1, 'abc'),
    headers(1, [['content-length', '0']], END_STREAM),
  ],
  'a trailer that is of the head': (get) => [
    headers(1, get([], { ':method': 'POST' }), 0),
    headers(1, [[':path', '/evil']], END_STREAM),
  ],
};

test('no request is smuggled by its way from HTTP/2 to HTTP/1.1', async (t) => {
  const { peer, get, authority, upstream, gateway, assertServes } = await startScene(t);
  for (const [what, attempt] of Object.entries(REFUSED)) {
    const attacker = await peer();
    attacker.send(...attempt(get, authority));
    const end = await attacker.endOf(1);
    assert.notEqual(end, CODE.NO_ERROR, what);
    attacker.socket.destroy();
  }
  await assertServes();
  // The incomplete ones may have begun: none was completed, and nothing stands behind one.
  const whole = upstream.requests.filter((request) => !/^POST .*\r\n/.test(request));
  assert.deepEqual(
    whole.map((request) => request.split('\r\n')[0]),
    ['GET / HTTP/1.1'],
  );
  assert.doesNotMatch(upstream.requests.join(''), /evil|smuggled/i);
  const passed = gateway.events.filter(
    (event) => event.type === 'outcome' && event.protocol === 'h2' && event.outcome.status === 200,
  );
  assert.equal(passed.length, 1);
});

const DROPPED: Readonly<Record<string, Field>> = {
  'a value with a line end': ['x-a', '1\r\nevil: 1'],
  'a value with a line feed': ['x-a', '1\nevil: 1'],
  'a value with a NUL': ['x-a', 'evil\0'],
  'a value with white space around it': ['x-a', ' evil '],
  'a name with a line end': ['x\r\nevil', '1'],
  'a name with a colon': ['x:evil', '1'],
  'a name with a space': ['x evil', '1'],
  'no name': ['', 'evil'],
  'an identity header of somebody else': ['x-workload', 'evil'],
  'a field for proxies': ['proxy-authorization', 'Basic evil'],
};

test('a field that could end its line, or is for the gateway alone, goes no further', async (t) => {
  const { peer, get, upstream } = await startScene(t);
  for (const [what, field] of Object.entries(DROPPED)) {
    const attacker = await peer();
    attacker.send(headers(1, get([field, ['x-kept', '1']]), END_STREAM));
    await attacker.endOf(1);
    attacker.socket.destroy();
    assert.doesNotMatch(upstream.requests.join(''), /evil/, what);
  }
});

test('the crumbs of a cookie are one field again', async (t) => {
  const { peer, get, upstream } = await startScene(t);
  const client = await peer();
  const crumbs = Array.from({ length: 200 }, (_, i): Field => ['cookie', `c${i}=${i}`]);
  client.send(headers(1, get(crumbs), END_STREAM));
  assert.equal(await client.endOf(1), 'done');
  const line = /^cookie: (.*)\r$/gim.exec(upstream.requests[0] ?? '')?.[1];
  assert.equal(line, crumbs.map(([, value]) => value).join('; '));
});

test('Via tells on either side what came, not what goes on', async (t) => {
  const { session, upstream } = await startScene(t);
  const { headers: fields } = await askHttp2(await session(), { ':path': '/' });
  assert.match(upstream.requests[0] ?? '', /^Via: 2\.0 sekisho-/m);
  assert.match(fields.via ?? '', /^1\.1 sekisho-/);
});

for (const code of [CODE.NO_ERROR, CODE.CANCEL]) {
  test(`a request that is reset within its body with code ${code} is not whole for its destination`, async (t) => {
    const arrived = Promise.withResolvers<TLSSocket>();
    const { peer, get, gateway } = await startScene(t, {
      answer: (request, socket) => /^POST/.test(request) && arrived.resolve(socket),
    });
    const client = await peer();
    client.send(headers(1, get([], { ':method': 'POST' }), 0), frame(FRAME.DATA, 0, 1, 'abc'));
    const destination = await arrived.promise;
    let received = '';
    destination.on('data', (piece) => {
      received += piece;
    });
    const closed = closeOf(destination);
    client.send(resetStream(1, code));
    await closed;
    assert.doesNotMatch(received, /^0\r\n/m);
    const { outcome } = await gateway.outcome(({ action }) => action === 'POST');
    assert.equal(outcome.error, 'client-reset');
  });
}

test('a client that resets one stream ends no other', async (t) => {
  const waiting: TLSSocket[] = [];
  const both = Promise.withResolvers<void>();
  const { peer, get } = await startScene(t, {
    answer: (_request, socket) => {
      if (waiting.push(socket) === 2) both.resolve();
    },
  });
  const client = await peer();
  client.send(headers(1, get(), END_STREAM), headers(3, get(), END_STREAM));
  await both.promise;
  client.send(resetStream(1, CODE.CANCEL));
  for (const socket of waiting) socket.write(OK);
  assert.equal(await client.endOf(3), 'done');
});

test('a client that closes without a GOAWAY has left, with all of its streams', async (t) => {
  const arrived = Promise.withResolvers<TLSSocket>();
  const { peer, get, gateway } = await startScene(t, {
    answer: (_request, socket) => arrived.resolve(socket),
  });
  const client = await peer();
  client.send(headers(1, get(), END_STREAM));
  const closed = closeOf(await arrived.promise);
  client.socket.end();
  await closed;
  const outcomes = [
    await gateway.outcome(({ action }) => action === 'GET'),
    await gateway.outcome(({ action }) => action === 'CONNECT'),
  ];
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome.error),
    ['client-reset', null],
  );
});

test('a client that opens more streams than it may loses its connection', async (t) => {
  const { peer, get, upstream, assertServes } = await startScene(t, {
    answer: (request, socket) => request.startsWith('GET /fine') && socket.write(OK),
  });
  const attacker = await peer();
  await attacker.first(({ type, flags }) => type === FRAME.SETTINGS && flags === FLAG.ACK);
  const ids = Array.from({ length: 300 }, (_, i) => 2 * i + 1);
  attacker.send(...ids.map((id) => headers(id, get(), END_STREAM)));
  await attacker.first(() => false);
  assert.ok(upstream.requests.length <= 100, String(upstream.requests.length));
  await assertServes('/fine');
});

test('rapid reset: a client that opens streams to reset them loses its connection', async (t) => {
  const { peer, get, assertServes, upstream, gateway } = await startScene(t);
  const attacker = await peer();
  const pairs = Array.from({ length: 3_000 }, (_, i) => {
    const id = 2 * i + 1;
    return Buffer.concat([headers(id, get(), END_STREAM), resetStream(id, CODE.CANCEL)]);
  });
  attacker.send(...pairs);
  await attacker.first(() => false);
  await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.ok(upstream.requests.length < 1_500, String(upstream.requests.length));
  await assertServes();
});

test('CONTINUATION flood: a head that never ends loses its connection', async (t) => {
  const { peer, get, assertServes, upstream } = await startScene(t);
  const attacker = await peer();
  const more = frame(FRAME.CONTINUATION, 0, 1, block([['x-more', 'x'.repeat(1_000)]]));
  attacker.send(frame(FRAME.HEADERS, END_STREAM, 1, block(get())), ...Array(500).fill(more));
  await attacker.first(() => false);
  assert.deepEqual(upstream.requests, []);
  await assertServes();
});

/** Kept in the table of the decoder (RFC 7541 6.2.1), and then told again by one byte each. */
function bomb(get: Get, times: number): Buffer {
  const literal = block([['x-bomb', 'x'.repeat(3_000)]]);
  literal[0] = 0x40;
  return Buffer.concat([block(get()), literal, Buffer.alloc(times, 0xbe)]);
}

test('header bomb: a head that grows by its compression is refused', async (t) => {
  const { peer, get, assertServes, upstream } = await startScene(t);
  const attacker = await peer();
  attacker.send(frame(FRAME.HEADERS, END_STREAM | END_HEADERS, 1, bomb(get, 10_000)));
  assert.notEqual(await attacker.endOf(1), 'done');
  assert.deepEqual(upstream.requests, []);
  await assertServes();
});

test('a head beyond limits.head, or of more fields than one may have, is refused', async (t) => {
  const { peer, get, upstream } = await startScene(t, { listener: 'limits: { head: 4KiB }' });
  const heads: (readonly Field[])[] = [
    get([['x-large', 'x'.repeat(5_000)]]),
    get(Array.from({ length: 300 }, (_, i) => [`x-${i}`, ''])),
  ];
  for (const fields of heads) {
    const attacker = await peer();
    attacker.send(headers(1, fields, END_STREAM));
    await attacker.endOf(1);
    assert.deepEqual(upstream.requests, []);
  }
});

const FLOODS: Readonly<Record<string, Buffer>> = {
  PING: frame(FRAME.PING, 0, 0, Buffer.alloc(8)),
  SETTINGS: frame(FRAME.SETTINGS, 0, 0),
};

for (const [what, one] of Object.entries(FLOODS)) {
  test(`${what} flood: a client that does not read what it makes the gateway send loses its connection`, async (t) => {
    const { open, assertServes } = await startScene(t, { listener: 'timeouts: { head: 1s }' });
    const secure = await open({ ALPNProtocols: ['h2'] });
    secure.on('error', () => {});
    new FramePeer(secure).begin();
    secure.removeAllListeners('data').pause();
    const many = Buffer.concat(Array(20_000).fill(one));
    const closed = closeOf(secure);
    const flood = () => {
      while (!secure.destroyed && secure.write(many));
    };
    secure.on('drain', flood);
    flood();
    await closed;
    await assertServes();
  });
}

test('streams that are open and not read end by the idle limit, and hold up nobody', async (t) => {
  const size = 4 * 1024 ** 2;
  const { peer, get, gateway, assertServes } = await startScene(t, {
    listener: 'timeouts: { idle: 1s }',
    answer: (request, socket) => {
      if (request.startsWith('GET /large'))
        socket.write(
          Buffer.concat([
            Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`),
            Buffer.alloc(size),
          ]),
        );
      else socket.write(OK);
    },
  });
  const attacker = await peer({ [INITIAL_WINDOW_SIZE]: 0 });
  const ids = Array.from({ length: 20 }, (_, i) => 2 * i + 1);
  const large = get([], { ':path': '/large' });
  attacker.send(...ids.map((id) => headers(id, id === 1 ? get() : large, END_STREAM)));
  await assertServes();
  for (const id of ids) assert.notEqual(await attacker.endOf(id), 'done');
  const { outcome } = await gateway.outcome(({ path }) => path === '/large');
  assert.equal(outcome.error, 'idle-timeout');
  assert.ok(outcome.bytesDown < size);
});

test('a window that is opened bit by bit gets no more than it has room for', async (t) => {
  const { peer, get } = await startScene(t);
  const client = await peer({ [INITIAL_WINDOW_SIZE]: 0 });
  client.send(headers(1, get(), END_STREAM));
  await client.first(({ type, stream }) => type === FRAME.HEADERS && stream === 1);
  client.send(windowUpdate(1, 1));
  const first = await client.first(({ type }) => type === FRAME.DATA);
  assert.equal(String(first?.payload), 'o');
  client.send(windowUpdate(1, 1));
  assert.equal(await client.endOf(1), 'done');
});

test('a client that has agreed on HTTP/2 and says nothing loses its connection', async (t) => {
  const { open, peer, gateway } = await startScene(t, { listener: 'timeouts: { head: 1s }' });
  const silent = [await open({ ALPNProtocols: ['h2'] }), (await peer()).socket];
  await Promise.all(silent.map((socket) => once(socket.resume(), 'end')));
  const { outcome } = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.equal(outcome.status, 200);
});
