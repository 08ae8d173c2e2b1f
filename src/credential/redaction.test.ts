import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Redactor } from './redaction.ts';
import { SHORTEST } from './secret-forms.ts';

const SECRET = 'ghp_0Ab/+9"z\\Q~ %41-token';

function percent(text: string, every = true): string {
  return [...Buffer.from(text)]
    .map((byte) =>
      every
        ? `%${byte.toString(16).padStart(2, '0')}`
        : encodeURIComponent(String.fromCharCode(byte)),
    )
    .join('');
}

function unicode(text: string): string {
  return [...Array(text.length).keys()]
    .map((i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`)
    .join('');
}

/** Every way in which a destination may give a secret back, alone or within something longer. */
const FORMS: Readonly<Record<string, (secret: string) => string>> = {
  plain: (secret) => secret,
  base64: (secret) => Buffer.from(secret).toString('base64'),
  'base64 within': (secret) => Buffer.from(`token ${secret} and`).toString('base64'),
  'base64 within, one further': (secret) => Buffer.from(`token: ${secret}`).toString('base64'),
  'base64 within, two further': (secret) => Buffer.from(`a token: ${secret}.`).toString('base64'),
  base64url: (secret) => Buffer.from(secret).toString('base64url'),
  'base64 in JSON': (secret) => Buffer.from(secret).toString('base64').replaceAll('/', '\\/'),
  'base64 in a URL': (secret) => encodeURIComponent(Buffer.from(secret).toString('base64')),
  hex: (secret) => Buffer.from(secret).toString('hex'),
  'hex in capitals': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  'percent, as in a query': (secret) => encodeURIComponent(secret),
  'percent, every byte': (secret) => percent(secret),
  'percent in capitals': (secret) => percent(secret).toUpperCase(),
  'percent, as in a form': (secret) => String(new URLSearchParams({ a: secret })).slice(2),
  JSON: (secret) => JSON.stringify(secret).slice(1, -1),
  'JSON with every escape': (secret) => unicode(secret),
  'JSON with slashes escaped': (secret) =>
    JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/'),
  'every other byte escaped': (secret) =>
    [...secret].map((c, i) => (i % 2 === 0 ? c : percent(c))).join(''),
};

function redact(redactor: Redactor, text: string, cuts: readonly number[] = []): string {
  const bytes = Buffer.from(text);
  const stream = redactor.stream();
  const places = [
    0,
    ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ];
  const out = places.slice(1).map((end, i) => stream.push(bytes.subarray(places[i], end)));
  return Buffer.concat([...out, stream.end()]).toString();
}

/** Whether what is left tells the secret, however it is written: by a third of it or more. */
function tells(text: string, secret: string): boolean {
  const part = Buffer.from(secret)
    .subarray(3, 3 + Math.ceil(secret.length / 3))
    .toString();
  const decoded = [
    text,
    ...[0, 1, 2, 3].map((skip) => Buffer.from(text.slice(skip), 'base64').toString('latin1')),
  ];
  return decoded.some((one) => one.includes(part));
}

for (const [name, form] of Object.entries(FORMS)) {
  test(`a secret is found as ${name}, wherever it is cut in two`, () => {
    const written = form(SECRET);
    const redactor = new Redactor([SECRET]);
    const text = `{"echo":"${written}","after":1}`;
    for (let cut = 0; cut <= text.length; cut++) {
      const redacted = redact(redactor, text, [cut]);
      assert.equal(redacted.length, text.length);
      assert.ok(redacted.startsWith('{"echo":"') && redacted.endsWith('","after":1}'), redacted);
      assert.ok(redacted.includes('*'.repeat(Math.floor(SECRET.length / 2))), redacted);
      assert.ok(!tells(redacted, SECRET), redacted);
    }
  });
}

test('a secret goes on byte by byte no more than as a whole', () => {
  const redactor = new Redactor([SECRET]);
  for (const form of Object.values(FORMS)) {
    const text = `x${form(SECRET)}y${form(SECRET)}`;
    const bytewise = redact(redactor, text, [...Array(text.length).keys()]);
    assert.equal(bytewise, redact(redactor, text));
  }
});

test('text without the secret passes unchanged, however it is cut', () => {
  const secret = fc.string({ minLength: SHORTEST, maxLength: 40 });
  const cuts = fc.array(fc.nat(500), { maxLength: 5 });
  fc.assert(
    fc.property(secret, fc.string({ maxLength: 300, unit: 'binary' }), cuts, (one, text, at) => {
      fc.pre(!text.includes(one) && !/[%\\]/.test(text));
      const redacted = redact(new Redactor([one]), text, at);
      if (redacted !== text) assert.ok(redacted.includes('*'.repeat(SHORTEST)));
    }),
  );
});

test('any secret is found in any form, between anything, however it is cut', () => {
  const secret = fc
    .string({ minLength: 12, maxLength: 60 })
    .filter((text) => new Set(text).size > 4);
  const around = fc.string({ maxLength: 50 });
  const form = fc.constantFrom(...Object.values(FORMS));
  const cuts = fc.array(fc.nat(1_000), { maxLength: 8 });
  fc.assert(
    fc.property(secret, around, around, form, cuts, (one, before, behind, write, at) => {
      const written = write(one);
      const redacted = redact(new Redactor([one]), before + written + behind, at);
      assert.ok(!redacted.includes(written), redacted);
      // All but what the edges of a base64 group share with their neighbours.
      assert.ok(redacted.includes('*'.repeat(one.length - 2)), redacted);
    }),
    { numRuns: 500 },
  );
});

test('nothing is held back but what may be the beginning of a secret', () => {
  const stream = new Redactor([SECRET]).stream();
  assert.equal(stream.push(Buffer.from('data: {"n":1}\n\n')).toString(), 'data: {"n":1}\n\n');
  assert.equal(stream.push(Buffer.from('data: ghp_')).toString(), 'data: ');
  assert.equal(stream.push(Buffer.from('other')).toString(), 'ghp_other');
});

test('what is held back is bounded by the longest form of the secret', () => {
  const stream = new Redactor(['aaaaaaaaaaaaaaab']).stream();
  let sent = 0;
  let passed = 0;
  for (let i = 0; i < 1_000; i++) {
    sent += 7;
    passed += stream.push(Buffer.from('aaaaaaa')).length;
    assert.ok(sent - passed <= 6 * 16);
  }
});

test('several secrets are found in one text, and short ones are left alone', () => {
  const redactor = new Redactor(['first-secret', 'second-secret', 'abc']);
  assert.equal(
    redact(redactor, 'first-secret abc second-secret'),
    '************ abc *************',
  );
  assert.equal(new Redactor(['abc']).text('abc'), 'abc');
});

test('the values of headers are redacted as a whole', () => {
  const redactor = new Redactor([SECRET]);
  const value = `https://elsewhere.example/?t=${encodeURIComponent(SECRET)}&x=1`;
  assert.match(redactor.text(value), /^https:\/\/elsewhere\.example\/\?t=\*+&x=1$/);
  assert.equal(redactor.text('text/plain'), 'text/plain');
});

test('a secret with characters beyond ASCII is found as well', () => {
  const secret = 'pässwörd-日本語-ß';
  const redactor = new Redactor([secret]);
  for (const form of Object.values(FORMS)) {
    const text = `a "${form(secret)}" b`;
    assert.ok(!redact(redactor, text).includes(form(secret)), text);
  }
  // In a header it travels byte by byte.
  const latin = Buffer.from(secret).toString('latin1');
  assert.match(redactor.text(latin), /^\*+$/);
});

test('a token is found also without the scheme that it is stored with', () => {
  const redactor = new Redactor([`Bearer ${SECRET}`]);
  for (const form of Object.values(FORMS))
    assert.ok(!redact(redactor, form(SECRET)).includes(form(SECRET)));
});
