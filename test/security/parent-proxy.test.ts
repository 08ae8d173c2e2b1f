import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, queriesFor, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { freePort } from '../support/servers.ts';
import { type RawUpstream, startRawUpstream } from '../support/upstreams.ts';
import { behind, head, verdictOf } from '../support/ways.ts';

/** Parent proxies that answer what they should not. Destinations are addresses that nobody here has: only a parent reaches them. */

const PASSWORD = 'the-password-of-the-gateway';
const BASIC = Buffer.from(`gateway:${PASSWORD}`).toString('base64');
const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';
const HEAD_END = '\r\n\r\n';

let dns: DnsServer;

before(async () => {
  dns = await startDns({
    'one.test': ['192.0.2.7'],
    'two.test': ['192.0.2.7', '192.0.2.8'],
    'private.test': ['10.9.9.9'],
    'parent.test': ['127.0.0.1'],
  });
});

after(() => dns.close());

/** Answers each head on a connection of its own by the next of `answers`, the last of them for good. */
async function startParent(
  t: TestContext,
  ...answers: readonly (string | ((socket: Socket) => void))[]
): Promise<RawUpstream> {
  let asked = 0;
  const parent = await startRawUpstream((socket) => {
    let got = '';
    socket.on('end', () => socket.end());
    socket.on('data', function read(chunk) {
      got += chunk.toString('latin1');
      if (!got.includes(HEAD_END)) return;
      socket.off('data', read);
      const answer = answers[Math.min(asked++, answers.length - 1)];
      if (typeof answer === 'string') socket.write(answer);
      else answer?.(socket);
    });
  });
  t.after(() => parent.close());
  return parent;
}

interface Exit {
  readonly port: number;
  readonly url?: string;
  readonly resolve?: 'local' | 'parent';
  readonly more?: string;
  readonly connect?: string;
  readonly files?: Record<string, string>;
}

async function startBefore(t: TestContext, exit: Exit): Promise<TestGateway> {
  const { port, resolve = 'local', more = '', connect = '10s' } = exit;
  const url = exit.url ?? `http://127.0.0.1:${port}`;
  const addresses = resolve === 'local' ? 'addresses: [192.0.2.0/24], ' : '';
  const gateway = await startTestGateway(
    `
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { connect: ${connect} } } }
principals: { app: { identify: [{ header: { name: X-App, value: { literal: open-sesame } } }] } }
rules:
  - { name: away, allow: [app], to: ["*", 192.0.2.0/24], ports: ["1-65535"], tls: off, ${addresses}via: corp }
exits: { corp: { parentProxy: { url: "${url}", resolve: ${resolve}, credential: corp${more} } } }
credentials:
  corp: { for: "${new URL(url).hostname.replace(/[[\]]/g, '')}", basic: { username: gateway, password: { file: corp.pw } } }
`,
    { files: { 'corp.pw': PASSWORD, ...exit.files } },
  );
  stopAfter(t, gateway);
  return gateway;
}

const APP = 'X-App: open-sesame';
const clients = new Set<RawClient>();

function openClient({ port }: TestGateway): RawClient {
  const client = new RawClient(port);
  clients.add(client);
  return client;
}

/** The gateway waits for its clients, so they go first. */
function stopAfter(t: TestContext, gateway: TestGateway): void {
  t.after(async () => {
    for (const client of clients) client.close();
    clients.clear();
    await gateway.stop();
  });
}

/** Opens a tunnel and gives the client once the gateway has answered. */
async function connectTo(gateway: TestGateway, host: string): Promise<RawClient> {
  const client = openClient(gateway);
  client.send(head('CONNECT', host, host, [APP, 'Proxy-Foo: 1']));
  await client.until(/\r\n\r\n/);
  return client;
}

/** Waits until what arrived on the parent's first connection matches. */
async function arrived(parent: RawUpstream, pattern: RegExp): Promise<void> {
  while (!pattern.test(String(parent.received[0]))) await setImmediate();
}

/** What the client was told, and the outcome's detail, of a tunnel that does not come about. */
async function failing(gateway: TestGateway, host = 'one.test:443') {
  const client = await connectTo(gateway, host);
  const answer = await client.all();
  const { outcome } = await gateway.outcome();
  assert.doesNotMatch(answer, /proxy-authenticate/i);
  return { verdict: verdictOf(answer), detail: outcome.detail ?? '', answer };
}

test('the parent is asked for the address that was decided on, and gets nothing of the client', async (t) => {
  const parent = await startParent(t, ESTABLISHED);
  const gateway = await startBefore(t, parent);
  const client = await connectTo(gateway, 'one.test:443');
  assert.equal(statusOf(String(client.received)), 200);
  const [received = ''] = parent.received.map(String);
  assert.equal(
    received.replace(/sekisho-[0-9a-f]+/, 'sekisho-'),
    `CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\nVia: 1.1 sekisho-\r\nProxy-Authorization: Basic ${BASIC}\r\n\r\n`,
  );
  client.close();
  const { exit, address, parent: hop, class: traffic } = await gateway.outcome();
  assert.deepEqual(
    { exit, address, hop },
    {
      exit: 'corp',
      address: '192.0.2.7',
      hop: { name: `127.0.0.1:${parent.port}`, address: '127.0.0.1' },
    },
  );
  assert.equal(traffic.way, 'external');
});

test('bytes that follow the 200 at once reach the client', async (t) => {
  const parent = await startParent(t, `${ESTABLISHED}hello from afar`);
  const gateway = await startBefore(t, parent);
  const client = await connectTo(gateway, 'one.test:443');
  assert.equal(behind(await client.until(/afar/)), 'hello from afar');
  client.send('and back');
  await arrived(parent, /and back$/);
});

test('a 200 that drips is one all the same, whatever fields it has', async (t) => {
  const dripping = 'HTTP/1.0 200 Sure\r\nContent-Length: 5\r\nX: y\r\n\r\nhello';
  const parent = await startParent(t, async (socket) => {
    socket.setNoDelay(true);
    for (const byte of dripping) await new Promise((sent) => socket.write(byte, sent));
  });
  const gateway = await startBefore(t, parent);
  const client = await connectTo(gateway, 'one.test:443');
  // Of a granted CONNECT no field tells a length (RFC 9110 9.3.6).
  assert.equal(behind(await client.until(/hello/)), 'hello');
});

test("the parent's 407 is no 407 to the client, and is not asked for twice", async (t) => {
  const parent = await startParent(
    t,
    'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm="parent"\r\nContent-Length: 6\r\n\r\nsecret',
  );
  const gateway = await startBefore(t, parent);
  const { verdict, detail, answer } = await failing(gateway, 'two.test:443');
  assert.equal(verdict, '502 connect-failed');
  assert.doesNotMatch(answer, /secret|parent/);
  assert.equal(
    detail,
    `exit corp: the parent proxy 127.0.0.1:${parent.port}: asked for 192.0.2.7:443, it answers 407`,
  );
  assert.equal(parent.received.length, 1);
});

test('a refusal is tried on the other addresses of the destination, and its body goes nowhere', async (t) => {
  const refusal = 'HTTP/1.1 403 No\r\nContent-Length: 21\r\n\r\n10.1.2.3 is our router';
  const parent = await startParent(t, refusal);
  const gateway = await startBefore(t, parent);
  const { verdict, detail, answer } = await failing(gateway, 'two.test:443');
  assert.equal(verdict, '502 connect-failed');
  assert.doesNotMatch(answer + (await gateway.recorded()), /router/);
  assert.match(
    detail,
    /asked for 192\.0\.2\.7:443, it answers 403; asked for 192\.0\.2\.8:443, it answers 403$/,
  );
});

test('the next address of the destination may do, and is the one on record', async (t) => {
  const parent = await startParent(t, 'HTTP/1.1 503 No\r\n\r\n', ESTABLISHED);
  const gateway = await startBefore(t, parent);
  const client = await connectTo(gateway, 'two.test:443');
  assert.equal(statusOf(String(client.received)), 200);
  client.close();
  assert.equal((await gateway.outcome()).address, '192.0.2.8');
});

const MISBEHAVING: Readonly<
  Record<string, readonly [string | ((socket: Socket) => void), RegExp]>
> = {
  'speaks another protocol': ['\x16\x03\x01\x02', /no plainly valid HTTP/],
  'ends lines in bare line feeds': ['HTTP/1.1 200 OK\n\n', /no plainly valid HTTP/],
  'never ends its head': [
    (socket) => {
      const flood = () => {
        while (socket.writable && socket.write(`X: ${'y'.repeat(8_000)}\r\n`));
      };
      socket.on('drain', flood);
      socket.write('HTTP/1.1 200 OK\r\n');
      flood();
    },
    /no empty line within 16384 bytes/,
  ],
  'only says 100': ['HTTP/1.1 100 Continue\r\n\r\n', /it answers 100/],
  redirects: ['HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\n\r\n', /it answers 302/],
  'closes without a word': [(socket) => socket.end(), /it closes without an answer/],
  'closes within its head': [
    (socket) => socket.end('HTTP/1.1 200 O'),
    /it closes without an answer/,
  ],
  'resets the connection': [(socket) => socket.resetAndDestroy(), /it breaks the connection/],
};

for (const [what, [answer, detailed]] of Object.entries(MISBEHAVING)) {
  test(`connect-failed by a parent that ${what}`, async (t) => {
    const gateway = await startBefore(t, await startParent(t, answer));
    const { verdict, detail } = await failing(gateway);
    assert.equal(verdict, '502 connect-failed');
    assert.match(detail, detailed);
  });
}

test('connect-timeout by a parent that is silent, whatever it trickles', async (t) => {
  for (const answer of ['', 'HTTP/1.1 200 O']) {
    const gateway = await startBefore(t, { ...(await startParent(t, answer)), connect: '200ms' });
    const { verdict, detail } = await failing(gateway);
    assert.equal(verdict, '504 connect-timeout');
    assert.match(detail, /^exit corp: the parent proxy .* it does not answer in time$/);
  }
});

test('a parent that is down, or has no address, is the end of it: nothing leaves by another way', async (t) => {
  const destination = await startRawUpstream();
  t.after(() => destination.close());
  const port = await freePort();
  for (const url of [`http://127.0.0.1:${port}`, `http://unknown.test:${port}`]) {
    const gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { app: { identify: [{ header: { name: X-App, value: { literal: open-sesame } } }] } }
rules: [{ name: away, allow: [app], to: [127.0.0.1], ports: ["1-65535"], tls: off, via: corp }]
exits: { corp: { parentProxy: { url: "${url}" } } }
`);
    stopAfter(t, gateway);
    const { verdict, detail } = await failing(gateway, `127.0.0.1:${destination.port}`);
    assert.equal(verdict, '502 connect-failed');
    assert.match(detail, /^exit corp: the parent proxy .*(?:ECONNREFUSED|does not resolve)/);
  }
  assert.equal(destination.received.length, 0);
});

test('a private address is refused before any parent hears of it', async (t) => {
  const parent = await startParent(t, ESTABLISHED);
  const gateway = await startBefore(t, parent);
  for (const host of ['private.test:443', '10.9.9.9:443', '127.0.0.1:443', 'localhost:443']) {
    const client = await connectTo(gateway, host);
    assert.match(
      verdictOf(String(client.received)),
      /^403 (?:address-forbidden|no-matching-rule)$/,
      host,
    );
  }
  assert.equal(parent.received.length, 0);
});

test('a parent that resolves gets the name, and nobody here looks it up', async (t) => {
  const parent = await startParent(t, ESTABLISHED);
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const client = await connectTo(gateway, 'unlisted.test:443');
  assert.match(
    String(parent.received[0]),
    /^CONNECT unlisted\.test:443 HTTP\/1\.1\r\nHost: unlisted\.test:443\r\n/,
  );
  assert.equal(queriesFor(dns, 'unlisted.test'), 0);
  client.close();
  const event = await gateway.outcome();
  assert.deepEqual([event.address, event.parent?.address], [null, '127.0.0.1']);
  assert.equal(gateway.decisions(event.id)[0]?.decision?.stage, 'name');
});

test('a parent that resolves gets neither this host by name nor a private literal', async (t) => {
  const parent = await startParent(t, ESTABLISHED);
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const refused = {
    'localhost:443': 'address-forbidden',
    'a.localhost:443': 'address-forbidden',
    '10.9.9.9:443': 'no-matching-rule',
  };
  for (const [host, reason] of Object.entries(refused)) {
    const client = await connectTo(gateway, host);
    assert.equal(verdictOf(String(client.received)), `403 ${reason}`, host);
  }
  assert.equal(parent.received.length, 0);
});

/** Sends one plain request and gives the whole answer, whose body ends in `until`. */
async function get(client: RawClient, host: string, until: RegExp, more: readonly string[] = []) {
  client.send(head('GET', `http://${host}/path?q`, host, [APP, ...more]));
  return client.until(until);
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nProxy-Connection: keep-alive\r\n\r\nhello';

/** Answers every request that comes on a connection with `answer`. */
const everyRequest =
  (answer: string) =>
  (socket: Socket): void => {
    socket.write(answer);
    socket.on('data', (chunk) => String(chunk).includes(HEAD_END) && socket.write(answer));
  };

test('a parent that resolves gets plain requests in absolute form, with its credential, on one connection', async (t) => {
  const parent = await startParent(t, everyRequest(OK));
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const client = openClient(gateway);
  const answer = await get(client, 'unlisted.test', /hello/, ['Proxy-Foo: 1']);
  assert.doesNotMatch(answer, /proxy-/i);
  client.send(head('GET', 'http://unlisted.test/path?q', 'unlisted.test', [APP]));
  await client.times('hello', 2);
  client.send(head('OPTIONS', 'http://unlisted.test', 'unlisted.test', [APP]));
  await client.times('hello', 3);
  assert.equal(parent.received.length, 1);
  const heads = String(parent.received[0]).split(HEAD_END).slice(0, -1);
  assert.deepEqual(
    heads.map((text) => text.split('\r\n')[0]),
    [
      'GET http://unlisted.test/path?q HTTP/1.1',
      'GET http://unlisted.test/path?q HTTP/1.1',
      'OPTIONS http://unlisted.test HTTP/1.1',
    ],
  );
  for (const text of heads) {
    assert.match(text, /^Host: unlisted\.test$/m);
    assert.deepEqual(text.match(/^Proxy-.*$/gim), [`Proxy-Authorization: Basic ${BASIC}`]);
    assert.doesNotMatch(text, /open-sesame/);
  }
});

test('a 407 to a request in absolute form is connect-failed, and its page stays here', async (t) => {
  const parent = await startParent(
    t,
    'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 6\r\n\r\nsecret',
  );
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const client = openClient(gateway);
  const answer = await get(client, 'unlisted.test', /\r\n\r\n/);
  assert.equal(verdictOf(answer), '502 connect-failed');
  assert.doesNotMatch(answer, /secret|proxy-authenticate/i);
  const { outcome } = await gateway.outcome();
  assert.match(outcome.detail ?? '', /^exit corp: the parent proxy 127\.0\.0\.1:\d+ answers 407$/);
});

test('a plain request by a decided address goes through a tunnel, which shows its inside no credential', async (t) => {
  const parent = await startParent(t, (socket) => {
    socket.write(ESTABLISHED);
    socket.on('data', (chunk) => String(chunk).includes(HEAD_END) && socket.write(OK));
  });
  const gateway = await startBefore(t, parent);
  const client = openClient(gateway);
  await get(client, 'one.test', /hello/);
  client.send(head('GET', 'http://one.test/path?q', 'one.test', [APP]));
  await client.times('hello', 2);
  assert.equal(parent.received.length, 1);
  const [connect = '', ...inside] = String(parent.received[0]).split(HEAD_END);
  assert.match(connect, /^CONNECT 192\.0\.2\.7:80 HTTP\/1\.1\r\n/);
  assert.match(inside[0] ?? '', /^GET \/path\?q HTTP\/1\.1\r\nHost: one\.test\r\n/);
  assert.doesNotMatch(inside.join(), /proxy-/i);
});

test('a WebSocket is tunnelled also where plain requests are not', async (t) => {
  const parent = await startParent(t, ESTABLISHED);
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const client = openClient(gateway);
  client.send(
    head('GET', 'http://unlisted.test/', 'unlisted.test', [
      APP,
      'Connection: Upgrade',
      'Upgrade: websocket',
    ]),
  );
  await arrived(parent, /Upgrade[\s\S]*\r\n\r\n$/);
  assert.match(
    String(parent.received[0]),
    /^CONNECT unlisted\.test:80 [\s\S]*\r\n\r\nGET \/ HTTP\/1\.1\r\n/,
  );
});

test('the credential goes to nobody whose certificate does not hold, and otherwise over TLS', async (t) => {
  const [right, wrong] = [createCertificates('parent.test'), createCertificates('other.test')];
  const seen: string[] = [];
  for (const [served, trusted, expected] of [
    [right, right, '200'],
    [wrong, wrong, '502 connect-failed'],
    [right, wrong, '502 connect-failed'],
  ] as const) {
    const server = createTlsServer({ cert: served.cert, key: served.key }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        seen.push(String(chunk));
        socket.write(`${ESTABLISHED}hello over TLS`);
      });
    }).listen(0, '127.0.0.1');
    server.on('tlsClientError', () => {});
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const gateway = await startBefore(t, {
      port,
      url: `https://parent.test:${port}`,
      more: ', tls: { ca: { file: ca.pem } }',
      files: { 'ca.pem': String(trusted.ca) },
    });
    const client = await connectTo(gateway, 'one.test:443');
    assert.equal(verdictOf(String(client.received)), expected);
    if (expected === '200') assert.equal(behind(await client.until(/TLS/)), 'hello over TLS');
    client.close();
  }
  assert.equal(seen.filter((text) => text.includes(BASIC)).length, 1);
});

test('the credential stands in no record and no log', async (t) => {
  const parent = await startParent(t, 'HTTP/1.1 407 Who\r\n\r\n');
  const gateway = await startBefore(t, parent);
  await failing(gateway);
  const told = (await gateway.recorded()) + gateway.log();
  assert.doesNotMatch(told, new RegExp(`${PASSWORD}|${BASIC}`));
});

test('a credential that is changed is the one from then on, also on kept connections', async (t) => {
  const parent = await startParent(t, everyRequest(OK));
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const client = openClient(gateway);
  await get(client, 'unlisted.test', /hello/);
  await writeFile(join(gateway.dir, 'corp.pw'), 'another');
  assert.equal(await gateway.gateway.reload(), true);
  client.send(head('GET', 'http://unlisted.test/', 'unlisted.test', [APP]));
  await client.times('hello', 2);
  const [first, second] = parent.received.map((bytes) => /Basic (\S+)/.exec(String(bytes))?.[1]);
  assert.equal(first, BASIC);
  assert.equal(second, Buffer.from('gateway:another').toString('base64'));
});

test('a tunnel of a name that only the parent knew ends when its rule no longer leaves names to it', async (t) => {
  const parent = await startParent(t, ESTABLISHED);
  const gateway = await startBefore(t, { ...parent, resolve: 'parent' });
  const client = await connectTo(gateway, 'unlisted.test:443');
  const text = await readFile(gateway.file, 'utf8');
  await writeFile(gateway.file, text.replace('resolve: parent', 'resolve: local'));
  assert.equal(await gateway.gateway.reload(), true);
  await client.all();
  const { decision } = await gateway.outcome();
  assert.deepEqual([decision?.stage, decision?.reason], ['address', 'address-forbidden']);
});

test("the gateway is not its own parent, and two gateways are not one another's", async (t) => {
  const start = async (name: string, bind: number, to: number) => {
    const gateway = await startTestGateway(`
gateway: { name: ${name} }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:${bind}" } }
principals: { app: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: away, allow: [app], to: ["*"], tls: off, via: corp }]
exits: { corp: { parentProxy: { url: "http://127.0.0.1:${to}", resolve: parent } } }
`);
    stopAfter(t, gateway);
    return gateway;
  };
  const own = await freePort();
  const { detail } = await failing(await start('self', own, own));
  assert.match(detail, /it is this gateway itself$/);

  const [a, b] = [await freePort(), await freePort()];
  const first = await start('first', a, b);
  await start('second', b, a);
  assert.equal((await failing(first)).verdict, '502 connect-failed');
  // The third one to be asked is the first again, and says so.
  const looped = await first.outcome(({ decision }) => decision?.reason === 'loop');
  assert.equal(looped.outcome.status, 403);
});
