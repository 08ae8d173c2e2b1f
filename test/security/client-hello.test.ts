import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { createCertificates } from '../support/certificates.ts';
import { extension, hello, message, record, serverName, vector } from '../support/client-hello.ts';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';
import {
  type RawUpstream,
  startHttpsUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';
import { behind, head } from '../support/ways.ts';

const certificates = createCertificates('good.com', 'neighbour.com');
/** The alert `access_denied` as it stands on the wire. */
const ALERT = '\x15\x03\x03\x00\x02\x02\x31';

let secure: Upstream;
let sink: RawUpstream;
let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  secure = await startHttpsUpstream(certificates);
  sink = await startRawUpstream((socket) => socket.once('end', () => socket.end()));
  dns = await startDns({ 'good.com': ['127.0.0.1'], 'neighbour.com': ['127.0.0.1'] });
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: good, allow: [local], to: [good.com], ports: [${secure.port}, ${sink.port}], addresses: [127.0.0.1] }
  - { name: literal, allow: [local], to: [127.0.0.1], ports: [${secure.port}, ${sink.port}] }
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
  await sink.close();
  await secure.close();
});

async function tunnelTo(host: string, port: number): Promise<RawClient> {
  const client = new RawClient(gateway.port);
  client.send(head('CONNECT', `${host}:${port}`, `${host}:${port}`, []));
  assert.equal(statusOf(await client.until(/\r\n\r\n/)), 200);
  return client;
}

/** One segment after the other: each has been read by the gateway, in this process, before the next one leaves. */
async function sendApart(client: RawClient, segments: readonly Buffer[]): Promise<void> {
  for (const segment of segments) {
    await new Promise((sent) => client.socket.write(segment, sent));
    await setImmediate();
    await setImmediate();
  }
}

const sni = (name: string) => extension(0, vector(2, serverName(name)));
const GOOD = hello(sni('good.com'));
const NEIGHBOUR = hello(sni('neighbour.com'));

/** The bytes pass: the destination receives them as they were sent. */
async function assertPasses(segments: readonly Buffer[], host = 'good.com'): Promise<void> {
  const since = sink.received.length;
  const client = await tunnelTo(host, sink.port);
  await sendApart(client, segments);
  client.socket.end();
  assert.equal(behind(await client.all()), '');
  assert.deepEqual(Buffer.concat(sink.received.slice(since)), Buffer.concat(segments));
}

/** The tunnel ends, and not one byte of it arrives. */
async function assertEnds(
  segments: readonly Buffer[],
  reason: 'sni-mismatch' | 'protocol-mismatch',
  host = 'good.com',
): Promise<void> {
  const since = sink.received.length;
  const client = await tunnelTo(host, sink.port);
  await sendApart(client, segments);
  assert.equal(behind(await client.all()), reason === 'sni-mismatch' ? ALERT : '');
  const outcome = await gateway.outcome((event) => event.client.endsWith(`:${client.localPort}`));
  assert.equal(outcome.decision?.reason, reason);
  assert.equal(outcome.outcome.bytesUp, 0);
  assert.equal(Buffer.concat(sink.received.slice(since)).length, 0);
}

/** Two parts, cut at every byte. */
function* everyCut(bytes: Buffer): Generator<readonly [Buffer, Buffer]> {
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

const inRecords = (handshake: readonly Buffer[]) => [Buffer.concat(handshake.map(record))];
const byteByByte = (bytes: Buffer) => Array.from(bytes, (byte) => Buffer.from([byte]));

for (const [name, bytes, assertSo] of [
  ['of the right name passes', GOOD, assertPasses],
  ['of another name ends', NEIGHBOUR, (s: readonly Buffer[]) => assertEnds(s, 'sni-mismatch')],
] as const) {
  const handshake = bytes.subarray(5);

  test(`a hello ${name}, cut into two segments at every byte`, async () => {
    for (const segments of everyCut(bytes)) await assertSo(segments);
  });

  test(`a hello ${name}, cut into two records at every byte`, async () => {
    for (const parts of everyCut(handshake)) await assertSo(inRecords(parts));
  });

  test(`a hello ${name}, one byte a segment, and one byte a record`, async () => {
    await assertSo(byteByByte(bytes));
    await assertSo(inRecords(byteByByte(handshake)));
    await assertSo(byteByByte(handshake).map(record));
  });
}

const GREASE = extension(0x8a8a);
/** Outer hello of ECH (type 0xfe0d): the gateway cannot tell it from the grease that browsers send always. */
const ECH = extension(
  0xfe0d,
  Buffer.from([0, 0, 1, 0, 1, 7]),
  vector(2, Buffer.alloc(32, 5)),
  vector(2, Buffer.alloc(64, 6)),
);

test('GREASE and Encrypted ClientHello: the outer name counts', async () => {
  await assertPasses([hello(GREASE, sni('good.com'), ECH, extension(0xdada, Buffer.from([0])))]);
  await assertEnds([hello(GREASE, sni('neighbour.com'), ECH)], 'sni-mismatch');
  await assertEnds([hello(ECH)], 'sni-mismatch');
});

test('a hello in one segment with the CONNECT waits for the decision, and is checked like any other', async () => {
  const connect = head('CONNECT', `good.com:${sink.port}`, 'good.com', []);
  const since = sink.received.length;
  const right = new RawClient(gateway.port).send(Buffer.concat([Buffer.from(connect), GOOD]));
  right.socket.end();
  assert.match(await right.all(), /^HTTP\/1\.1 200 [^\r]*\r\n\r\n$/);
  assert.deepEqual(Buffer.concat(sink.received.slice(since)), GOOD);
  const wrong = new RawClient(gateway.port).send(Buffer.concat([Buffer.from(connect), NEIGHBOUR]));
  assert.equal(behind(await wrong.all()), ALERT);
  assert.deepEqual(Buffer.concat(sink.received.slice(since)), GOOD);
});

test('case and the dot of the root make no other name', async () => {
  for (const name of ['GOOD.com', 'good.com.', 'Good.COM.']) {
    await assertPasses([hello(sni(name))]);
    await assertPasses([GOOD], name);
  }
});

const OTHER_NAMES = [
  'good.com..',
  '.good.com',
  'www.good.com',
  'good.com.neighbour.com',
  'xgood.com',
  'good.co',
  '127.0.0.1',
  'good.com:443',
  '*.com',
  'good.com/',
  'user@good.com',
  'good%2ecom',
];

test('another name, or what is no name, ends with an alert', async (t) => {
  for (const name of OTHER_NAMES) {
    await t.test(name, () => assertEnds([hello(sni(name))], 'sni-mismatch'));
  }
});

test('no name ends with an alert: no extension of it, no extensions at all', async () => {
  await assertEnds([hello()], 'sni-mismatch');
  await assertEnds([hello(GREASE)], 'sni-mismatch');
  await assertEnds([record(message({ extensions: undefined }))], 'sni-mismatch');
});

const AMBIGUOUS: Readonly<Record<string, Buffer>> = {
  'the extension twice, alike': hello(sni('good.com'), sni('good.com')),
  'the extension twice, the right name first': hello(sni('good.com'), sni('neighbour.com')),
  'the extension twice, the right name last': hello(sni('neighbour.com'), sni('good.com')),
  'two names in one list': hello(
    extension(0, vector(2, serverName('good.com'), serverName('neighbour.com'))),
  ),
  'a name of another type in front': hello(
    extension(0, vector(2, serverName('neighbour.com', 1), serverName('good.com'))),
  ),
  'a name of another type': hello(extension(0, vector(2, serverName('good.com', 1)))),
  'an empty list': hello(extension(0, vector(2))),
  'an empty extension': hello(extension(0)),
  'an empty name': hello(sni('')),
  'NUL in the name': hello(sni('good.com\0.neighbour.com')),
  'a line end in the name': hello(sni('good.com\r\n')),
  'bytes behind the list': hello(extension(0, vector(2, serverName('good.com')), Buffer.from([0]))),
  'a length beyond the end': hello(extension(0, Buffer.from([0, 99]), serverName('good.com'))),
  'a second hello in the same record': record(
    Buffer.concat([GOOD.subarray(5), NEIGHBOUR.subarray(5)]),
  ),
  'another message before it': record(Buffer.concat([Buffer.from([0, 0, 0, 0]), GOOD.subarray(5)])),
  'an empty record before it': Buffer.concat([record(Buffer.alloc(0)), GOOD]),
  'an alert between its records': Buffer.concat([
    record(GOOD.subarray(5, 9)),
    Buffer.from([21, 3, 3, 0, 2, 1, 0]),
    record(GOOD.subarray(9)),
  ]),
};

test('a hello that two readers could take for two names is none', async (t) => {
  for (const [name, bytes] of Object.entries(AMBIGUOUS)) {
    await t.test(name, () => assertEnds([bytes], 'protocol-mismatch'));
  }
});

test('a large hello passes, one beyond the bound ends before it is whole', async () => {
  const padded = (size: number) =>
    message({ extensions: [sni('good.com'), extension(21, Buffer.alloc(size))] });
  const records = (bytes: Buffer) => {
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 16_384)
      parts.push(record(bytes.subarray(at, at + 16_384)));
    return parts;
  };
  await assertPasses(records(padded(60_000)));
  const length = Buffer.from([1, 0xff, 0xff, 0xff]);
  await assertEnds([record(length)], 'protocol-mismatch');
  // Small messages that never end are no way around it either.
  const endless = Buffer.concat([Buffer.from([1, 0, 0xf0, 0]), Buffer.alloc(20_000)]);
  await assertEnds([Buffer.concat(byteByByte(endless).map(record))], 'protocol-mismatch');
});

test('to an address no server name is expected', async () => {
  await assertPasses([hello(GREASE)], '127.0.0.1');
  for (const name of ['good.com', '127.0.0.1', 'neighbour.com']) {
    await assertEnds([hello(sni(name))], 'sni-mismatch', '127.0.0.1');
  }
});

test('the decision at the hello is on record behind the one that granted the tunnel', async () => {
  const client = await tunnelTo('good.com', sink.port);
  client.send(NEIGHBOUR);
  await client.all();
  const outcome = await gateway.outcome((event) => event.client.endsWith(`:${client.localPort}`));
  assert.equal(outcome.tls?.sni, 'neighbour.com');
  assert.deepEqual(
    gateway.decisions(outcome.id).map(({ decision }) => `${decision?.stage} ${decision?.reason}`),
    ['address rule-allow', 'hello sni-mismatch'],
  );
});

test("Node's client reports access denied, and the destination saw nothing", async () => {
  const seen = secure.requests.length;
  for (const servername of ['neighbour.com', '']) {
    const { socket } = await tunnelTo('good.com', secure.port);
    const secureSocket = connectTls({ socket, servername, ca: certificates.ca });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
      secureSocket.once('error', resolve),
    );
    assert.match(`${error.code} ${error.message}`, /access.denied/i);
    socket.destroy();
  }
  assert.equal(secure.requests.length, seen);
});

test("Python's client reports access denied", { skip: needs('python3') }, async () => {
  const script = `
import socket, ssl
for name in ('neighbour.com', None):
    s = socket.create_connection(('127.0.0.1', ${gateway.port}))
    s.sendall(b'CONNECT good.com:${secure.port} HTTP/1.1\\r\\nHost: good.com:${secure.port}\\r\\n\\r\\n')
    s.recv(4096)
    try:
        ssl._create_unverified_context().wrap_socket(s, server_hostname=name)
    except ssl.SSLError as error:
        print(error)
`;
  const { stdout } = await run(PYTHON, ['-c', script]);
  assert.equal(stdout.match(/access denied/gi)?.length, 2, stdout);
});

test("OpenSSL's client reports access denied", async () => {
  const proxy = ['-proxy', `127.0.0.1:${gateway.port}`, '-connect', `good.com:${secure.port}`];
  for (const name of [['-servername', 'neighbour.com'], ['-noservername']]) {
    const { stderr } = await run('openssl', ['s_client', ...proxy, ...name], { input: '' });
    assert.match(stderr, /access denied/i);
  }
});

test('the same clients get through with the right name, and without one to an address', async () => {
  for (const [host, servername] of [
    ['good.com', 'good.com'],
    ['127.0.0.1', ''],
  ] as const) {
    const { socket } = await tunnelTo(host, secure.port);
    const checkServerIdentity = () => undefined;
    const secureSocket = connectTls({
      socket,
      servername,
      ca: certificates.ca,
      checkServerIdentity,
    });
    await new Promise((resolve) => secureSocket.once('secureConnect', resolve));
    secureSocket.destroy();
    socket.destroy();
  }
});
