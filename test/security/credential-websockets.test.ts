import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { RawClient, statusOf } from '../support/clients.ts';
import { startScene, TOKEN } from '../support/credential-gateway.ts';

const MASK = '*'.repeat(TOKEN.length);
const GRANTED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n';
const STRICT =
  '{ for: api.localhost, redact: strict, header: { Authorization: ["token ", { env: TOKEN }] }, TLS }';

/** @param after what the server sends behind its 101 @param headers more of the 101 */
async function startHostile(t: TestContext, after: Buffer, headers = '', credential?: string) {
  const scene = await startScene(t, {
    ...(credential !== undefined && { credential }),
    answer: (_request, socket) =>
      socket.end(Buffer.concat([Buffer.from(`${GRANTED}${headers}\r\n`), after])),
  });
  const { authority, gateway } = scene;
  const lines = [
    `GET http://${authority}/ HTTP/1.1`,
    `Host: ${authority}`,
    'X-Workload: sesame',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: x',
    'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
    'Authorization: mine',
  ];
  const send = () => new RawClient(gateway.port).send(`${lines.join('\r\n')}\r\n\r\n`);
  return { ...scene, send, open: () => send().all() };
}

function frame(first: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([first, payload.length]), payload]);
}

test('a WebSocket goes over TLS with the credential, asks for no extension, and its 101 tells none', async (t) => {
  const { open, upstream } = await startHostile(
    t,
    frame(0x81, Buffer.from(TOKEN)),
    `X-Echo: ${TOKEN}\r\n`,
  );
  const answer = await open();
  assert.match(answer, /^HTTP\/1\.1 101 /);
  assert.ok(answer.includes(`X-Echo: ${MASK}\r\n`) && answer.endsWith(MASK), answer);
  const [request = ''] = upstream.requests;
  assert.match(request, new RegExp(`^Authorization: token ${TOKEN}\r$`, 'm'));
  assert.doesNotMatch(request, /mine|extensions|sesame/i);
});

const CUT: readonly Buffer[] = [
  frame(0x01, Buffer.from(TOKEN.slice(0, 20))),
  frame(0x89, Buffer.from(TOKEN)),
  frame(0x00, Buffer.alloc(0)),
  frame(0x80, Buffer.from(TOKEN.slice(20))),
];

test('a token that is cut by frames and pings is masked', async (t) => {
  const { open } = await startHostile(t, Buffer.concat(CUT));
  const answer = await open();
  assert.doesNotMatch(answer, /ghp_|[A-Z][a-z][A-Z]/);
  assert.equal(answer.split('*').length - 1, 2 * TOKEN.length);
});

const compressed = deflateRawSync(`you sent ${TOKEN}`);
const ATTACKS: [what: string, frames: Buffer, detail: RegExp][] = [
  ['a compressed message that nobody asked for', frame(0xc1, compressed), /extension/],
  [
    'a frame masked with zeros',
    Buffer.concat([Buffer.from([0x81, 0x80 | TOKEN.length, 0, 0, 0, 0]), Buffer.from(TOKEN)]),
    /masked/,
  ],
  ['bytes that are no frames', Buffer.from(`HTTP/1.1 200 OK\r\n\r\n${TOKEN}`), /frame/],
];

for (const [what, frames, detail] of ATTACKS) {
  test(`${what} ends the WebSocket before any of it is told`, async (t) => {
    const { open, gateway } = await startHostile(t, frames);
    const answer = await open();
    assert.match(answer, /^HTTP\/1\.1 101 [\s\S]*\r\n\r\n$/);
    const { outcome } = await gateway.outcome();
    assert.equal(outcome.error, 'upstream-reset');
    assert.match(outcome.detail ?? '', detail);
  });
}

test('an extension that nobody asked for is refused with the 101', async (t) => {
  const { open, gateway } = await startHostile(
    t,
    frame(0xc1, compressed),
    'Sec-WebSocket-Extensions: permessage-deflate\r\n',
  );
  assert.equal(statusOf(await open()), 502);
  const { outcome } = await gateway.outcome();
  assert.match(outcome.detail ?? '', /extension/);
});

test('a credential that is strict is put on no WebSocket', async (t) => {
  const { send, upstream } = await startHostile(t, Buffer.alloc(0), '', STRICT);
  const client = send();
  const answer = await client.until(/a WebSocket takes on no credential that is strict/);
  client.close();
  assert.equal(statusOf(answer), 400);
  assert.deepEqual(upstream.requests, []);
});
