import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, queriesFor, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  needsPort80,
  onPort80,
  type RawUpstream,
  startHttpUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';
import { behind, head, verdictOf } from '../support/ways.ts';

const skip = needsPort80();
const table = JSON.parse(
  readFileSync(new URL('../cases/connect-targets.json', import.meta.url), 'utf8'),
) as { cases: readonly { target: string; status: number }[] };

let echo: RawUpstream;
let greeter: RawUpstream;
let web: Upstream;
let dns: DnsServer;
let gateway: TestGateway;
/** Port 80 with a rule that says `tls: off`. */
let raw80: RawUpstream;
const place80 = onPort80();

before(async () => {
  echo = await startRawUpstream((socket) => socket.pipe(socket));
  greeter = await startRawUpstream((socket) => {
    socket.write('\x4a\x00\x00\x00\x0a8.0.36\0');
    socket.once('end', () => socket.end());
  });
  dns = await startDns({ 'good.com': ['127.0.0.1'], 'raw.com': ['127.0.0.1'] });
  if (skip === false) {
    web = await startHttpUpstream(undefined, onPort80());
    raw80 = await startRawUpstream((socket) => socket.pipe(socket), place80);
    dns.set('web.com', [web.host]);
    dns.set('raw80.com', [place80.host]);
  }
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { head: 300ms } } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: table, allow: [local], to: [good.com, "2606:4700:4700::1111", 8.8.8.8], ports: [443], via: nowhere }
  - { name: good, allow: [local], to: [good.com], ports: [${echo.port}, ${greeter.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.com], ports: [${echo.port}, ${greeter.port}], addresses: [127.0.0.1], tls: off }
  - { name: web, allow: [local], to: [web.com], ports: [80], addresses: ["${web?.host ?? place80.host}"] }
  - { name: raw80, allow: [local], to: [raw80.com], ports: [80], addresses: ["${place80.host}"], tls: off }
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  await echo.close();
  await greeter.close();
  if (skip !== false) return;
  await web.close();
  await raw80.close();
});

async function answerTo(bytes: string): Promise<string> {
  const client = new RawClient(gateway.port).send(bytes);
  const answer = await client.until(/\r\n\r\n/);
  client.close();
  return answer;
}

const connectTo = (host: string, port: number, lines: readonly string[] = []) =>
  head('CONNECT', `${host}:${port}`, `${host}:${port}`, lines);

async function tunnelTo(host: string, port: number, early = ''): Promise<RawClient> {
  const client = new RawClient(gateway.port).send(connectTo(host, port) + early);
  assert.equal(statusOf(await client.until(/\r\n\r\n/)), 200);
  return client;
}

function arrived(upstream: RawUpstream, since: number): string {
  return Buffer.concat(upstream.received.slice(since)).toString('latin1');
}

test('every case of connect-targets.json', async (t) => {
  for (const { target, status } of table.cases) {
    await t.test(JSON.stringify(target), async () => {
      const answer = await answerTo(head('CONNECT', target, target, []));
      // 200 in the table means allowed. The name leads inside, and the literals are dialled from where they cannot be.
      if (status === 200)
        assert.match(verdictOf(answer), /^(?:502 connect-failed|403 address-forbidden)$/);
      else assert.equal(statusOf(answer), status);
    });
  }
});

test('Host must be the target, with its port or without one', async (t) => {
  const port = echo.port;
  const agree = [`good.com:${port}`, 'good.com', 'GOOD.com', 'good.com.', `Good.Com.:${port}`];
  const disagree = [
    'bad.com',
    `bad.com:${port}`,
    'good.com:443',
    'good.com:80',
    'good.com.bad.com',
  ];
  const invalid = [
    '',
    `user@good.com:${port}`,
    'good.com, bad.com',
    'good.com/',
    'good.com:0',
    '[good.com]',
  ];
  const verdictWith = async (...hosts: string[]) => {
    const lines = hosts.map((host) => `Host: ${host}\r\n`).join('');
    return verdictOf(await answerTo(`CONNECT good.com:${port} HTTP/1.1\r\n${lines}\r\n`));
  };
  for (const host of agree)
    await t.test(`agrees: ${host}`, async () => {
      assert.equal(await verdictWith(host), '200');
    });
  for (const host of disagree)
    await t.test(`disagrees: ${host}`, async () => {
      assert.equal(await verdictWith(host), '400 host-mismatch');
    });
  for (const host of invalid)
    await t.test(`no host: ${JSON.stringify(host)}`, async () => {
      assert.match(await verdictWith(host), /^400 (?:request|destination)-invalid$/);
    });
  await t.test('twice', async () => {
    assert.equal(await verdictWith('good.com', 'good.com'), '400 request-invalid');
  });
  await t.test('not at all', async () => {
    assert.equal(await verdictWith(), '400 request-invalid');
  });
});

test('a CONNECT with a body is refused; a length of zero and `Connection: close` are harmless', async (t) => {
  const cases: Readonly<Record<string, string>> = {
    'Content-Length: 0': '200',
    'Connection: close': '200',
    'Content-Length: 1': '400 request-invalid',
    'Content-Length: -0': '400 request-invalid',
    'Content-Length: x': '400 request-invalid',
    'Content-Length: 0\r\nContent-Length: 0': '400 request-invalid',
    'Transfer-Encoding: chunked': '400 request-invalid',
    'Transfer-Encoding: identity': '400 request-invalid',
    'Transfer-Encoding: chunked\r\nContent-Length: 0': '400 request-invalid',
  };
  for (const [line, expected] of Object.entries(cases)) {
    await t.test(JSON.stringify(line), async () => {
      assert.equal(verdictOf(await answerTo(connectTo('good.com', echo.port, [line]))), expected);
    });
  }
});

test('bytes behind the head wait for the decision and are delivered once', async () => {
  const since = echo.received.length;
  const client = await tunnelTo('raw.com', echo.port, 'early ');
  client.send('late');
  await client.until(/early late$/);
  client.socket.end(' last');
  assert.equal(behind(await client.all()), 'early late last');
  assert.equal(arrived(echo, since), 'early late last');
  const outcome = await gateway.outcome((event) => event.client.endsWith(`:${client.localPort}`));
  assert.deepEqual(
    [outcome.outcome.error, outcome.outcome.bytesUp, outcome.outcome.bytesDown],
    [null, 'early late last'.length, 'early late last'.length],
  );
});

test('bytes behind a refused CONNECT are dropped, and are no request', async () => {
  const since = echo.received.length;
  const request = head('GET', `http://good.com:${echo.port}/`, `good.com:${echo.port}`, []);
  const cases = {
    'HTTP/1.1 403 Forbidden: no-matching-rule': connectTo('denied.com', echo.port),
    'HTTP/1.1 400 Bad Request: host-mismatch': head(
      'CONNECT',
      `good.com:${echo.port}`,
      'bad.com',
      [],
    ),
    'HTTP/1.1 502 Bad Gateway: connect-failed': connectTo('8.8.8.8', 443),
  };
  for (const [answer, connect] of Object.entries(cases)) {
    const text = await new RawClient(gateway.port).send(connect + request).all();
    assert.ok(text.startsWith(answer), text);
    assert.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 1);
  }
  assert.equal(echo.received.length, since);
  assert.equal(queriesFor(dns, 'denied.com'), 0);
});

const NOT_TLS: Readonly<Record<string, string>> = {
  HTTP: 'GET / HTTP/1.1\r\nHost: good.com\r\n\r\n',
  SSH: 'SSH-2.0-OpenSSH_9.2p1\r\n',
  'PostgreSQL asking for TLS': '\0\0\0\x08\x04\xd2\x16\x2f',
  SOCKS: '\x05\x01\0',
  'a TLS alert': '\x15\x03\x03\0\x02\x02\x28',
  'TLS application data': '\x17\x03\x03\0\x05hello',
  'a ServerHello': '\x16\x03\x03\0\x04\x02\0\0\0',
  'SSL 2.0': '\x80\x2e\x01\0\x02\0\x15\0\0\0\x10',
  'a record of no version': '\x16\x09\x09\0\x05hello',
};

test('a tunnel that does not begin with a ClientHello is closed, whatever the port', async (t) => {
  for (const [name, bytes] of Object.entries(NOT_TLS)) {
    for (const upstream of [echo, greeter]) {
      await t.test(`${name} to port ${upstream === echo ? 'A' : 'B'}`, async () => {
        const since = upstream.received.length;
        for (const client of [
          await tunnelTo('good.com', upstream.port, bytes),
          (await tunnelTo('good.com', upstream.port)).send(bytes),
        ]) {
          assert.equal(behind(await client.all()), '', 'nothing comes back, a greeting neither');
          const outcome = await gateway.outcome((event) =>
            event.client.endsWith(`:${client.localPort}`),
          );
          assert.equal(outcome.decision?.reason, 'protocol-mismatch');
          assert.equal(outcome.outcome.bytesUp, 0);
        }
        assert.equal(arrived(upstream, since), '');
      });
    }
  }
});

test('a client that waits for the server to speak first waits in vain', async () => {
  const client = await tunnelTo('good.com', greeter.port);
  assert.equal(behind(await client.all()), '');
  const outcome = await gateway.outcome((event) => event.client.endsWith(`:${client.localPort}`));
  assert.deepEqual([outcome.outcome.error, outcome.outcome.bytesDown], ['idle-timeout', 0]);
});

test('with `tls: off` a server that speaks first is heard', async () => {
  const client = await tunnelTo('raw.com', greeter.port);
  await client.until(/8\.0\.36\0$/);
  client.close();
});

test('CONNECT to port 80 is read as HTTP, for the host of the CONNECT alone', {
  skip,
}, async (t) => {
  const cases: Readonly<Record<string, readonly [request: string, expected: string]>> = {
    'the same host': [head('GET', '/', 'web.com', []), '200'],
    'the same host, absolute': [head('GET', 'http://web.com/', 'web.com', []), '200'],
    'the same host with its port': [head('GET', '/', 'WEB.com.:80', []), '200'],
    'another host': [head('GET', '/', 'good.com', []), '400 host-mismatch'],
    'another host, absolute': [
      head('GET', 'http://good.com/', 'good.com', []),
      '400 host-mismatch',
    ],
    'another port': [head('GET', '/', 'web.com:81', []), '400 host-mismatch'],
    'its address': [head('GET', '/', '127.0.0.1', []), '400 host-mismatch'],
    "the gateway's own pages": [
      head('GET', '/v1/whoami', 'sekisho.internal', []),
      '400 host-mismatch',
    ],
    'no Host': ['GET / HTTP/1.0\r\n\r\n', '400 request-invalid'],
    'a CONNECT inside': [connectTo('web.com', 80), '400 request-invalid'],
    'a CONNECT to elsewhere inside': [connectTo('good.com', 443), '400 request-invalid'],
    TLS: ['\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', '400 request-invalid'],
    SSH: ['SSH-2.0-OpenSSH_9.2p1\r\n\r\n', '400 request-invalid'],
  };
  for (const [name, [request, expected]] of Object.entries(cases)) {
    for (const early of [true, false]) {
      await t.test(`${name}, ${early ? 'in the same segment' : 'after the 200'}`, async () => {
        const before = web.requests.length;
        const client = await tunnelTo('web.com', 80, early ? request : '');
        if (!early) client.send(request);
        const text = await client.until({ test: (all) => /\r\n\r\n/.test(behind(all)) });
        assert.equal(verdictOf(behind(text)), expected);
        assert.equal(web.requests.length - before, expected === '200' ? 1 : 0);
        client.close();
      });
    }
  }
});

test('with `tls: off` CONNECT to port 80 passes bytes as they are', { skip }, async () => {
  const client = await tunnelTo('raw80.com', 80, 'no HTTP ');
  client.send('at all');
  await client.until(/no HTTP at all$/);
  client.close();
});

test('an upstream that closes while the ClientHello is awaited gets the client closed', async (t) => {
  const short = await startRawUpstream((socket) => socket.end());
  t.after(() => short.close());
  const own = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", timeouts: { head: 300ms } } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: it, allow: [local], to: [good.localhost], ports: [${short.port}], addresses: [127.0.0.1] }]
`);
  t.after(() => own.stop());
  const client = new RawClient(own.port).send(connectTo('good.localhost', short.port));
  await once(client.socket, 'end');
  const outcome = await own.outcome();
  assert.equal(outcome.decision?.effect, 'allow');
  assert.notEqual(outcome.outcome.error, null);
  client.close();
});
