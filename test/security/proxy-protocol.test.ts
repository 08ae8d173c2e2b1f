import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { head, verdictOf } from '../support/ways.ts';

/** HAProxy itself as the sender: `../egress/proxy-protocol.test.ts`. */

const BALANCER = '127.0.0.9';
/** Where the balancer says that its client is. */
const CLIENT = '10.1.2.3';
const REJECTED =
  'sekisho_connections_rejected_total{listener="egress",rejection="proxy-header-invalid"}';
const UNUSED =
  'sekisho_connections_rejected_total{listener="egress",rejection="closed-before-a-byte"}';

let gateway: TestGateway;

before(async () => {
  gateway = await startTestGateway(`
listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:0"
    proxyProtocol: { from: [${BALANCER}] }
    timeouts: { head: 200ms }
principals:
  by-v4: { identify: [{ clientAddress: [${CLIENT}] }] }
  by-v6: { identify: [{ clientAddress: ["2001:db8::7"] }] }
  by-peer: { identify: [{ clientAddress: [${BALANCER}] }] }
rules: [{ name: all, allow: ["*"], to: [8.8.8.8], via: nowhere }]
exits: { nowhere: { localAddress: 127.0.0.1 } }
`);
});

after(() => gateway.stop());

const REQUEST = head('GET', 'http://8.8.8.8/', '8.8.8.8', ['Connection: close']);

interface V2 {
  readonly command?: number;
  readonly family?: number;
  readonly addresses?: readonly number[];
  readonly tlvs?: readonly number[];
  readonly length?: number;
}

function v2({ command = 0x21, family = 0x11, addresses = V4, tlvs = [], length }: V2): string {
  const body = Buffer.from([...addresses, ...tlvs]);
  const fixed = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  fixed.writeUInt8(command, 12);
  fixed.writeUInt8(family, 13);
  fixed.writeUInt16BE(length ?? body.length, 14);
  return Buffer.concat([fixed, body]).toString('latin1');
}

/** 10.1.2.3:40000 to 127.0.0.1:3128. */
const V4 = [10, 1, 2, 3, 127, 0, 0, 1, 0x9c, 0x40, 0x0c, 0x38];
const V6 = [
  0x20,
  0x01,
  0x0d,
  0xb8,
  ...Array(11).fill(0),
  7,
  ...Array(15).fill(0),
  1,
  0x9c,
  0x40,
  0x0c,
  0x38,
];

const TAKEN: Readonly<Record<string, readonly [header: string, principal: string]>> = {
  'v1 over IPv4': [`PROXY TCP4 ${CLIENT} 127.0.0.1 40000 3128\r\n`, 'by-v4'],
  'v1 over IPv6': ['PROXY TCP6 2001:db8::7 ::1 40000 3128\r\n', 'by-v6'],
  'v1 UNKNOWN': ['PROXY UNKNOWN\r\n', 'by-peer'],
  'v1 UNKNOWN with addresses': [`PROXY UNKNOWN ${CLIENT} 127.0.0.1 40000 3128\r\n`, 'by-peer'],
  'v2 over IPv4': [v2({}), 'by-v4'],
  'v2 over IPv6': [v2({ family: 0x21, addresses: V6 }), 'by-v6'],
  'v2 with TLVs': [v2({ tlvs: [4, 0, 3, 1, 2, 3] }), 'by-v4'],
  'v2 LOCAL': [v2({ command: 0x20, family: 0, addresses: [] }), 'by-peer'],
  'v2 LOCAL with addresses': [v2({ command: 0x20 }), 'by-peer'],
  'v2 UNSPEC': [v2({ family: 0, addresses: [] }), 'by-peer'],
  'v2 of a UNIX socket': [v2({ family: 0x31, addresses: Array(216).fill(0) }), 'by-peer'],
};

test("a balancer's header says who the client is; LOCAL and UNKNOWN say that it is the balancer", async (t) => {
  const seen = new Set<string>();
  for (const [name, [header, principal]] of Object.entries(TAKEN)) {
    await t.test(name, async () => {
      const client = new RawClient(gateway.port, { localAddress: BALANCER }).send(header + REQUEST);
      assert.equal(verdictOf(await client.all()), '502 connect-failed');
      const outcome = await gateway.outcome(({ id }) => !seen.has(id));
      seen.add(outcome.id);
      assert.equal(outcome.principal, principal);
      assert.equal(outcome.peer, principal === 'by-peer' ? undefined : BALANCER);
    });
  }
});

test('the header may come byte by byte', async () => {
  for (const [header] of [TAKEN['v1 over IPv4'], TAKEN['v2 over IPv4']] as [string, string][]) {
    const client = new RawClient(gateway.port, { localAddress: BALANCER });
    for (const byte of header) {
      await new Promise((sent) => client.socket.write(Buffer.from(byte, 'latin1'), sent));
    }
    assert.equal(verdictOf(await client.send(REQUEST).all()), '502 connect-failed');
  }
});

const MALFORMED: Readonly<Record<string, string>> = {
  'none at all': '',
  'TLS in its place': '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  'lower case': `proxy tcp4 ${CLIENT} 127.0.0.1 40000 3128\r\n`,
  'a space in front': ` PROXY TCP4 ${CLIENT} 127.0.0.1 40000 3128\r\n`,
  'bare LF': `PROXY TCP4 ${CLIENT} 127.0.0.1 40000 3128\n`,
  'two spaces': `PROXY TCP4  ${CLIENT} 127.0.0.1 40000 3128\r\n`,
  'a field too many': `PROXY TCP4 ${CLIENT} 127.0.0.1 40000 3128 1\r\n`,
  'a field too few': `PROXY TCP4 ${CLIENT} 127.0.0.1 40000\r\n`,
  'no family': `PROXY ${CLIENT} 127.0.0.1 40000 3128\r\n`,
  'another family': `PROXY UDP4 ${CLIENT} 127.0.0.1 40000 3128\r\n`,
  'an address of the other family': 'PROXY TCP4 2001:db8::7 ::1 40000 3128\r\n',
  'an address with octal parts': 'PROXY TCP4 010.1.2.3 127.0.0.1 40000 3128\r\n',
  'a short address': 'PROXY TCP4 10.1 127.0.0.1 40000 3128\r\n',
  'an address with a zone': 'PROXY TCP6 fe80::1%lo ::1 40000 3128\r\n',
  'a name': 'PROXY TCP4 localhost 127.0.0.1 40000 3128\r\n',
  'a port too large': `PROXY TCP4 ${CLIENT} 127.0.0.1 65536 3128\r\n`,
  'a port with zeros': `PROXY TCP4 ${CLIENT} 127.0.0.1 040000 3128\r\n`,
  'NUL in it': `PROXY TCP4 ${CLIENT}\0 127.0.0.1 40000 3128\r\n`,
  'a line that is too long': `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
  'v2 of another version': v2({ command: 0x31 }),
  'v2 with another command': v2({ command: 0x22 }),
  'v2 over UDP': v2({ family: 0x12 }),
  'v2 that is too short for its addresses': v2({ addresses: V4.slice(0, 8) }),
  'v2 that is longer than anybody sends': v2({ length: 65_535 }),
  'v2 with one wrong byte': v2({}).replace('QUIT', 'QUIP'),
};

test('a balancer that sends no header, or no plainly valid one, is closed without an answer', async (t) => {
  let rejected = 0;
  for (const [name, header] of Object.entries(MALFORMED)) {
    await t.test(name, async () => {
      const events = gateway.events.length;
      const client = new RawClient(gateway.port, { localAddress: BALANCER }).send(header + REQUEST);
      assert.equal(await client.all(), '');
      await gateway.metric(REJECTED, ++rejected);
      assert.equal(gateway.events.length, events, 'counted, not audited');
    });
  }
});

test('a balancer that is slow with its header is closed', async () => {
  for (const part of ['PROXY TCP4 10.1', v2({}).slice(0, 14)]) {
    const client = new RawClient(gateway.port, { localAddress: BALANCER }).send(part);
    assert.equal(await client.all(), '');
  }
});

test('a balancer that closes before a byte is counted, not audited', async () => {
  const events = gateway.events.length;
  new RawClient(gateway.port, { localAddress: BALANCER }).socket.end();
  await gateway.metric(UNUSED, 1);
  assert.equal(gateway.events.length, events);
});

test('a header from a peer that is no balancer is no request, and makes it no other client', async (t) => {
  for (const [name, [header]] of Object.entries(TAKEN)) {
    await t.test(name, async () => {
      const events = gateway.events.length;
      const client = new RawClient(gateway.port).send(header + REQUEST);
      assert.equal(verdictOf(await client.all()), '400 request-invalid');
      const outcome = await gateway.outcome(
        (event) => event.client === `127.0.0.1:${client.localPort}`,
      );
      assert.equal(outcome.principal, null);
      assert.equal(gateway.events.length - events, 2);
    });
  }
});

test('a second header behind the first is no request', async () => {
  for (const second of [TAKEN['v1 over IPv6'], TAKEN['v2 over IPv6']] as [string, string][]) {
    const bytes = `PROXY TCP4 10.9.9.9 127.0.0.1 40000 3128\r\n${second[0]}${REQUEST}`;
    const client = new RawClient(gateway.port, { localAddress: BALANCER }).send(bytes);
    assert.equal(verdictOf(await client.all()), '400 request-invalid');
  }
});

test('a header inside a request is a header like any other', async () => {
  const forged = head('GET', 'http://8.8.8.8/', '8.8.8.8', [
    `PROXY: TCP4 ${CLIENT} 127.0.0.1 40000 3128`,
    `X-Forwarded-For: ${CLIENT}`,
    `Forwarded: for=${CLIENT}`,
    `X-Real-IP: ${CLIENT}`,
    'Connection: close',
  ]);
  const client = new RawClient(gateway.port).send(forged);
  assert.equal(verdictOf(await client.all()), '407 no-identity');
});
