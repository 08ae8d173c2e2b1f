import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, beforeEach, type TestContext, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  type RawUpstream,
  type SeenRequest,
  startHttpUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';

let upstream: Upstream;
let gateway: TestGateway;
let answer: Parameters<typeof startHttpUpstream>[0];

before(async () => {
  upstream = await startHttpUpstream((seen, response) => answer?.(seen, response));
  gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: api, allow: [local], to: [api.localhost], ports: ['1024-65535'], addresses: [127.0.0.1] }
`);
});

beforeEach(() => {
  answer = (_seen, response) => response.end('hello');
});

after(async () => {
  await gateway.stop();
  await upstream.close();
});

function head(
  lines: readonly string[],
  port = upstream.port,
  method = 'GET',
  version = '1.1',
): string {
  const host = `api.localhost:${port}`;
  return [`${method} http://${host}/ HTTP/${version}`, `Host: ${host}`, ...lines, '', ''].join(
    '\r\n',
  );
}

/** An upstream of this test's own: connections that the gateway keeps must not serve the next one. */
async function rawUpstream(t: TestContext, serve: (socket: Socket) => void): Promise<RawUpstream> {
  const raw = await startRawUpstream(serve);
  t.after(() => raw.close());
  return raw;
}

async function ask(bytes: string, until: RegExp): Promise<string> {
  const client = new RawClient(gateway.port).send(bytes);
  const text = await client.until(until);
  client.close();
  return text;
}

test('one client connection carries many requests, and so does one upstream connection', async () => {
  const before = upstream.connections;
  const client = new RawClient(gateway.port);
  for (let i = 1; i <= 5; i++) {
    client.send(head([]));
    await client.times('hello', i);
  }
  client.close();
  assert.equal(upstream.connections - before, 1);
});

test('pipelined requests are answered in order', async () => {
  answer = (seen, response) => response.end(`<${seen.headers['x-number']}>`);
  const text = await ask(
    head(['X-Number: 1']) + head(['X-Number: 2']) + head(['X-Number: 3']),
    /<3>/,
  );
  assert.deepEqual(text.match(/<\d>/g), ['<1>', '<2>', '<3>']);
});

test('what was meant for this hop does not go on; the rest does, in its order and spelling', async () => {
  let seen: SeenRequest | undefined;
  answer = (request, response) => {
    seen = request;
    response
      .writeHead(200, {
        'X-Kept': 'é',
        Connection: 'X-Hop',
        'X-Hop': '1',
        'Proxy-Status': 'x',
        'Sekisho-Reason': 'rule-deny',
      })
      .end('hello');
  };
  const text = await ask(
    head([
      'X-b: 2',
      'x-A: 1',
      'Connection: x-named, close',
      'X-Named: 1',
      'Proxy-Foo: 1',
      'Keep-Alive: 5',
      'TE: trailers',
      'Upgrade: h2c',
    ]),
    /hello/,
  );
  assert.deepEqual(
    seen?.rawHeaders.filter((_, i) => i % 2 === 0).filter((name) => name !== 'Connection'),
    ['Host', 'X-b', 'x-A', 'Via'],
  );
  assert.match(text, /^X-Kept: \xe9\r$/m);
  assert.doesNotMatch(text, /x-hop: 1|proxy-status|sekisho-reason/i);
  assert.match(text, /^Connection: close\r$/m);
});

test('trailers pass both ways, to a client that takes them, but for what has its place in the head', async () => {
  let seen: SeenRequest | undefined;
  answer = (request, response) => {
    seen = request;
    const last = { 'X-Sum': '7', 'Set-Cookie': 'a=b', 'Sekisho-Reason': 'rule-deny', 'X-Hop': '1' };
    response.writeHead(200, { Trailer: 'X-Sum', Connection: 'X-Hop' }).write('hello');
    response.addTrailers(last);
    response.end();
  };
  const body =
    '4\r\nbody\r\n0\r\nX-Digest: abc\r\nHost: bad.com\r\nX-Named: 1\r\nProxy-X: 1\r\n\r\n';
  const chunked = 'Transfer-Encoding: chunked';
  const text = await ask(
    head([chunked, 'TE: trailers', 'Connection: TE, X-Named'], upstream.port, 'POST') + body,
    /\r\n0\r\n(?:[\s\S]*\r\n)?\r\n$/,
  );
  assert.deepEqual([seen?.rawTrailers, seen?.headers.te], [['X-Digest', 'abc'], 'trailers']);
  assert.match(text, /\r\n0\r\nX-Sum: 7\r\n\r\n$/);
  const without = await ask(
    head([chunked], upstream.port, 'POST') + body,
    /\r\n0\r\n(?:[\s\S]*\r\n)?\r\n$/,
  );
  assert.match(without, /\r\n0\r\n\r\n$/);
});

test('a request that has already passed this gateway is refused', async () => {
  let via = '';
  answer = (seen, response) => {
    via = String(seen.headers.via);
    response.end('hello');
  };
  await ask(head([]), /hello/);
  assert.match(
    await ask(head([`Via: 1.1 other, ${via}`]), /\r\n\r\n/),
    /^HTTP\/1\.1 403 Forbidden: loop/,
  );
});

test('HEAD, 204 and 304 end with their head', async () => {
  answer = (seen, response) => {
    const status = Number(seen.headers['x-status']);
    response.writeHead(status, status === 200 ? { 'content-length': 5 } : {}).end();
  };
  const client = new RawClient(gateway.port);
  client.send(
    head(['X-Status: 200'], upstream.port, 'HEAD') +
      head(['X-Status: 204']) +
      head(['X-Status: 304']),
  );
  const text = await client.until(/304 [\s\S]*\r\n\r\n/);
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 204', 'HTTP/1.1 304']);
  assert.match(text, /content-length: 5/i);
  client.close();
});

test('an HTTP/1.0 client gets a chunked response without chunks, ended by the close', async () => {
  answer = (_seen, response) => {
    response.write('hel');
    response.end('lo');
  };
  const client = new RawClient(gateway.port).send(head([], upstream.port, 'GET', '1.0'));
  const text = await client.all();
  assert.doesNotMatch(text, /transfer-encoding/i);
  assert.match(text, /\r\n\r\nhello$/);
});

test('large bodies arrive whole both ways, and a slow reader holds the sender back', async () => {
  const size = 32 * 1024 * 1024;
  const body = Buffer.alloc(size, 'sekisho ');
  const digest = createHash('sha256').update(body).digest('hex');
  const big = await startHttpUpstream((seen, response) =>
    response.end(Buffer.from(seen.body, 'latin1')),
  );
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: big, allow: [local], to: [api.localhost], ports: [${big.port}], addresses: [127.0.0.1] }]
`);
  const agent = new Agent();
  try {
    for (const framing of [{ 'content-length': size }, { 'transfer-encoding': 'chunked' }]) {
      const outgoing = request({
        agent,
        port: own.port,
        method: 'POST',
        path: `http://api.localhost:${big.port}/`,
        headers: { host: `api.localhost:${big.port}`, ...framing },
      });
      outgoing.end(body);
      const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
      const hash = createHash('sha256');
      for await (const chunk of incoming) hash.update(chunk);
      assert.equal(hash.digest('hex'), digest);
    }
    const outcome = await own.outcome();
    assert.deepEqual([outcome.outcome.bytesUp, outcome.outcome.bytesDown], [size, size]);
  } finally {
    agent.destroy();
    await own.stop();
    await big.close();
  }
});

test('an upstream that closes a kept connection costs a repeatable request nothing', async (t) => {
  let served = 0;
  const raw = await rawUpstream(t, (socket) => {
    const mine = ++served;
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      // The first connection dies as soon as it is asked again.
      if (mine === 1) socket.once('data', () => socket.resetAndDestroy());
    });
  });
  const client = new RawClient(gateway.port).send(head([], raw.port));
  await client.until(/ok$/);
  client.send(head([], raw.port));
  assert.match(await client.until(/ok[\s\S]*ok$/), /200 OK/);
  assert.equal(served, 2);
  client.close();
});

test('a request with a body is not repeated: the client is told', async (t) => {
  let served = 0;
  const raw = await rawUpstream(t, (socket) => {
    served++;
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      socket.once('data', () => socket.resetAndDestroy());
    });
  });
  const post = () => `${head(['Content-Length: 1'], raw.port, 'POST')}x`;
  const client = new RawClient(gateway.port).send(post());
  await client.until(/ok$/);
  client.send(post());
  assert.match(await client.until(/ok[\s\S]*\r\n\r\n/), /502 Bad Gateway: upstream-reset/);
  client.close();
  assert.ok(served >= 1);
});

const HOSTILE: Record<string, { bytes: string; expected: RegExp }> = {
  'Content-Length with Transfer-Encoding': {
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    expected: /^HTTP\/1\.1 502 /,
  },
  'no HTTP at all': { bytes: 'SSH-2.0-OpenSSH\r\n', expected: /^HTTP\/1\.1 502 / },
  'a bare LF': { bytes: 'HTTP/1.1 200 OK\nContent-Length: 0\n\n', expected: /^HTTP\/1\.1 502 / },
  'an end before the head': { bytes: 'HTTP/1.1 200 OK\r\nConte', expected: /^HTTP\/1\.1 502 / },
  'an upgrade that nobody asked for': {
    bytes: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    expected: /^HTTP\/1\.1 502 /,
  },
  'endless interim responses': {
    bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100),
    expected: /502 Bad Gateway: upstream-reset/,
  },
};

for (const [name, { bytes, expected }] of Object.entries(HOSTILE)) {
  test(`a hostile upstream gets its client a truthful answer: ${name}`, async (t) => {
    const raw = await rawUpstream(t, (socket) =>
      socket.once('data', () => socket.end(Buffer.from(bytes, 'latin1'))),
    );
    const client = new RawClient(gateway.port).send(head([], raw.port));
    assert.match(await client.until(/ 502 [\s\S]*\r\n\r\n/), expected);
    client.close();
  });
}

test('a response that is cut in the middle is cut for the client too', async (t) => {
  const raw = await rawUpstream(t, (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')),
  );
  const text = await new RawClient(gateway.port).send(head([], raw.port)).all();
  assert.match(text, /half$/);
  const outcome = await gateway.outcome(
    (event) => event.outcome.error === 'upstream-reset' && event.outcome.status === 200,
  );
  assert.equal(outcome.outcome.bytesDown, 4);
});

test('a response that ends by the close is cut by a reset, since a FIN would pass for its end', async (t) => {
  const raw = await rawUpstream(t, (socket) =>
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nhalf');
      socket.once('data', () => {});
      setImmediate(() => socket.resetAndDestroy());
    }),
  );
  const client = new RawClient(gateway.port).send(head([], raw.port));
  const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
    client.socket.once('error', resolve),
  );
  assert.equal(error.code, 'ECONNRESET');
});

test('a client that leaves within its body is one that left, not one that is refused', async (t) => {
  const raw = await rawUpstream(t, () => {});
  const client = new RawClient(gateway.port);
  client.send(`${head(['Content-Length: 10'], raw.port, 'POST')}half`);
  client.socket.end();
  await client.all();
  const outcome = await gateway.outcome(
    (event) => event.destination === `api.localhost:${raw.port}`,
  );
  assert.equal(outcome.outcome.error, 'client-reset');
  assert.equal(outcome.decision?.effect, 'allow');
});

test('bytes behind a response never reach the next request', async (t) => {
  let served = 0;
  const raw = await rawUpstream(t, (socket) => {
    served++;
    socket.once('data', () =>
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
      ),
    );
  });
  const client = new RawClient(gateway.port);
  for (let i = 1; i <= 3; i++) {
    client.send(head([], raw.port));
    await client.times('ok', i);
  }
  assert.doesNotMatch(client.received.toString(), /evil/);
  assert.equal(served, 3);
  client.close();
});

test('a client that leaves takes its upstream connection with it', async (t) => {
  const gone = Promise.withResolvers<void>();
  const raw = await rawUpstream(t, (socket) => {
    socket.once('end', () => gone.resolve());
    socket.once('data', () => client.socket.resetAndDestroy());
  });
  const client = new RawClient(gateway.port).send(head([], raw.port));
  await gone.promise;
  await gateway.outcome((event) => event.outcome.error === 'client-reset');
});

test('CONNECT to port 80 is read as HTTP, request by request', async () => {
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ basic: { username: u, password: { literal: p } } }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], methods: [GET], paths: [/open/**], ports: [80], addresses: [127.0.0.1] }]
`);
  try {
    const credentials = Buffer.from('u:p').toString('base64');
    const client = new RawClient(own.port).send(
      `CONNECT api.localhost:80 HTTP/1.1\r\nHost: api.localhost:80\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
    );
    assert.equal(statusOf(await client.until(/\r\n\r\n/)), 200);
    client.send('GET /closed HTTP/1.1\r\nHost: api.localhost\r\n\r\n');
    await client.until(/403 Forbidden: no-matching-rule/);
    client.send('GET /open/x HTTP/1.1\r\nHost: api.localhost\r\n\r\n');
    // Nobody listens on port 80 here: allowed, dialled, and told so.
    await client.until(/502 Bad Gateway: connect-failed/);
    const inner = await own.outcome((event) => event.path === '/open/x');
    assert.equal(inner.principal, 'local');
    assert.equal(inner.decision?.rule, 'api');
    client.close();
  } finally {
    await own.stop();
  }
});

test('a head that drips is cut, and the record says so', async () => {
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { head: 100ms } } }
`);
  try {
    const client = new RawClient(own.port).send('GET http://a.com/ HT');
    assert.match(await client.all(), /^HTTP\/1\.1 400 Bad Request: request-invalid/);
    const outcome = await own.outcome();
    assert.equal(outcome.decision?.stage, 'accept');
  } finally {
    await own.stop();
  }
});

test('connections are not shared between principals', async (t) => {
  const gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  a: { identify: [{ basic: { username: a, password: { literal: pw } } }] }
  b: { identify: [{ basic: { username: b, password: { literal: pw } } }] }
rules: [{ name: api, allow: [a, b], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`);
  t.after(() => gateway.stop());
  const before = upstream.connections;
  const authority = `api.localhost:${upstream.port}`;
  for (const name of ['a', 'a', 'b', 'a', 'b']) {
    const basic = Buffer.from(`${name}:pw`).toString('base64');
    const client = new RawClient(gateway.port);
    client.send(
      `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
    );
    await client.until(/hello/);
    client.close();
  }
  assert.equal(upstream.connections - before, 2);
});
