import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { statusOf } from '../support/clients.ts';
import { bodyOf, type CredentialScene, startScene, TOKEN } from '../support/credential-gateway.ts';

const STRICT =
  '{ for: api.localhost, redact: strict, header: { Authorization: ["token ", { env: TOKEN }] }, TLS }';
const MASK = '*'.repeat(TOKEN.length);

const ends: (() => unknown)[] = [];
let readable: CredentialScene;
let strict: CredentialScene;
/** What the destination answers, in pieces of some length. */
let pieces: readonly Buffer[] = [];

before(async () => {
  const t = { after: (end: () => unknown) => void ends.push(end) };
  const setting = {
    answer: (_request: string, socket: NodeJS.WritableStream) => {
      for (const piece of pieces) socket.write(piece);
    },
  };
  readable = await startScene(t, setting);
  strict = await startScene(t, { ...setting, credential: STRICT });
});

after(async () => {
  for (const end of ends.reverse()) await end();
});

function answerWith(body: Buffer, head: string, status = 200): void {
  const start = `HTTP/1.1 ${status} OK\r\nContent-Length: ${body.length}\r\n${head}\r\n\r\n`;
  const bytes = Buffer.concat([Buffer.from(start), body]);
  const length = Math.max(50, bytes.length / 50);
  pieces = Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
    bytes.subarray(i * length, (i + 1) * length),
  );
}

/** By a path of its own, so that its outcome is found. */
async function ask(scene: CredentialScene, version = 'HTTP/1.1') {
  const path = `/${scene.upstream.requests.length}/${version}`;
  const answer = await scene.ask(`GET ${path} ${version}`);
  const { outcome } = await scene.gateway.outcome((event) => event.path === path);
  return { answer, outcome };
}

const CODINGS = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};
const CODED: readonly (readonly (keyof typeof CODINGS)[])[] = [
  ['gzip'],
  ['deflate'],
  ['br'],
  ['zstd'],
  ['gzip', 'br'],
  ['br', 'gzip', 'zstd'],
];

for (const codings of CODED) {
  test(`an echo within ${codings.join(', then ')}, which nobody asked for, is masked`, async () => {
    const text = `${'x'.repeat(100_000)}${TOKEN}${'y'.repeat(100_000)}`;
    const body = codings.reduce<Buffer>((coded, one) => CODINGS[one](coded), Buffer.from(text));
    answerWith(body, `Content-Encoding: ${codings.join(', ').toUpperCase()}`);
    for (const scene of [readable, strict]) {
      for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
        const { answer, outcome } = await ask(scene, version);
        assert.doesNotMatch(answer, /content-encoding/i);
        assert.equal(bodyOf(answer), text.replace(TOKEN, MASK));
        assert.equal(outcome.unmasked, undefined);
      }
    }
  });
}

const UNREADABLE: [
  what: string,
  why: 'coding' | 'part',
  status: number,
  head: string,
  body: Buffer,
][] = [
  ['a coding of its own', 'coding', 200, 'Content-Encoding: secret', Buffer.from('coded')],
  [
    'a coding named after what every object has',
    'coding',
    200,
    'Content-Encoding: constructor',
    Buffer.from('coded'),
  ],
  [
    'a known coding beneath one of its own',
    'coding',
    200,
    'Content-Encoding: gzip, secret',
    gzipSync('coded'),
  ],
  [
    'more codings than anybody applies',
    'coding',
    200,
    'Content-Encoding: gzip, gzip, gzip, gzip',
    [1, 2, 3, 4].reduce<Buffer>((coded) => gzipSync(coded), Buffer.from('coded')),
  ],
  [
    'a part of a coded body',
    'coding',
    206,
    'Content-Encoding: gzip\r\nContent-Range: bytes 4-8/9',
    Buffer.from('coded'),
  ],
  ['a part of a body', 'part', 206, 'Content-Range: bytes 4-8/9', Buffer.from('coded')],
  [
    'several parts of a body',
    'part',
    206,
    'Content-Type: multipart/byteranges; boundary=x',
    Buffer.from('--x\r\n\r\ncoded\r\n--x--\r\n'),
  ],
];

for (const [what, why, status, head, body] of UNREADABLE) {
  test(`${what} passes as it is and is seen, and is refused with redact: strict`, async () => {
    answerWith(body, head, status);
    const { answer, outcome } = await ask(readable);
    assert.equal(bodyOf(answer), body.toString('latin1'));
    assert.equal(outcome.unmasked, why);
    const refused = await ask(strict);
    assert.equal(statusOf(refused.answer), 502);
    assert.deepEqual(
      [refused.outcome.error, refused.outcome.unmasked],
      ['upstream-reset', undefined],
    );
  });
}

test('responses that could not be looked at whole are counted', async () => {
  for (const why of ['coding', 'part']) {
    const seen = UNREADABLE.filter(([, own]) => own === why).length;
    const series = `sekisho_unmasked_responses_total{credential="c",why="${why}"}`;
    await readable.gateway.metric(series, seen);
  }
});

test('a whole echo within a part of a body is masked', async () => {
  answerWith(Buffer.from(TOKEN), 'Content-Range: bytes 0-37/90', 206);
  assert.equal(bodyOf((await ask(readable)).answer), MASK);
});

for (const [codings, body] of [
  ['gzip', Buffer.from('no gzip at all')],
  ['gzip, br', brotliCompressSync('no gzip at all')],
  ['gzip, br', gzipSync('no br at all')],
] as const) {
  test(`${codings} that does not hold breaks the response off`, async () => {
    answerWith(body, `Content-Encoding: ${codings}`);
    const { answer, outcome } = await ask(readable);
    assert.doesNotMatch(answer, /0\r\n\r\n$/);
    assert.equal(outcome.error, 'upstream-reset');
    assert.match(outcome.detail ?? '', /does not hold/);
  });
}

test('with redact: strict no part of a body can be asked for', async () => {
  answerWith(Buffer.from('ok'), 'X: y');
  const answer = await strict.ask('GET /', ['Range: bytes=0-3', 'If-Range: x']);
  assert.equal(statusOf(answer), 200);
  assert.doesNotMatch(strict.upstream.requests.at(-1) ?? '', /range/i);
});
