import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Redaction } from '../../core/injection.ts';
import { MaskedMessages } from './masked-messages.ts';

const SECRET = 'abcabcd';
const MASK = '*'.repeat(SECRET.length);

/** As the redactor of credentials does: holds back whatever may be the beginning of the secret. */
const redaction: Redaction = {
  text: (value) => value.replaceAll(SECRET, MASK),
  stream() {
    let held = '';
    return {
      push(piece) {
        const text = (held + piece.toString('latin1')).replaceAll(SECRET, MASK);
        let kept = Math.min(text.length, SECRET.length - 1);
        while (!SECRET.startsWith(text.slice(text.length - kept))) kept--;
        held = text.slice(text.length - kept);
        return Buffer.from(text.slice(0, text.length - kept), 'latin1');
      },
      end() {
        const rest = held;
        held = '';
        return Buffer.from(rest, 'latin1');
      },
    };
  },
};

const TEXT = 1;
const CLOSE = 8;
const PING = 9;

function frame(opcode: number, payload: string, last = true): Buffer {
  const bytes = Buffer.from(payload, 'latin1');
  const first = (last ? 0x80 : 0) | opcode;
  if (bytes.length < 126) return Buffer.concat([Buffer.from([first, bytes.length]), bytes]);
  const header = Buffer.from([first, 126, 0, 0]);
  header.writeUInt16BE(bytes.length, 2);
  return Buffer.concat([header, bytes]);
}

/** A message in frames, with a ping before each but the first where it is said. */
function message(pieces: readonly string[], pings: readonly string[] = []): Buffer {
  return Buffer.concat(
    pieces.flatMap((piece, i) => [
      ...(i > 0 && pings[i] !== undefined ? [frame(PING, pings[i])] : []),
      frame(i === 0 ? TEXT : 0, piece, i === pieces.length - 1),
    ]),
  );
}

function masked(bytes: Buffer, cuts: readonly number[] = []): Buffer {
  const messages = new MaskedMessages(redaction);
  const bounds = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  const pieces = bounds.slice(1).map((to, i) => messages.push(bytes.subarray(bounds[i], to)));
  return Buffer.concat([...pieces, messages.end()]);
}

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd', SECRET), maxLength: 20 });

test('a message is masked as a whole, in whatever frames and pieces it comes, and all frames keep their lengths', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(text, { minLength: 1, maxLength: 5 }), { maxLength: 4 }),
      fc.array(text, { maxLength: 5 }),
      fc.array(fc.nat(400), { maxLength: 20 }),
      (sent, pings, cuts) => {
        const bytes = Buffer.concat(sent.map((pieces) => message(pieces, pings)));
        const expected = sent.map((pieces) => {
          let rest = redaction.text(pieces.join(''));
          const out = pieces.map(({ length }) => {
            const piece = rest.slice(0, length);
            rest = rest.slice(length);
            return piece;
          });
          return message(
            out,
            pings.map((ping) => redaction.text(ping)),
          );
        });
        const within = cuts.filter((cut) => cut <= bytes.length);
        assert.deepEqual(masked(bytes, within), Buffer.concat(expected));
      },
    ),
  );
});

test('a message goes on as soon as it is whole, and no sooner than its secret is masked', () => {
  const messages = new MaskedMessages(redaction);
  assert.deepEqual(messages.push(frame(TEXT, 'a-abc')), frame(TEXT, 'a-abc'));
  assert.deepEqual(messages.push(frame(TEXT, 'a-abc', false)), Buffer.from('\x01\x05a-', 'latin1'));
  assert.equal(messages.push(frame(PING, 'p')).length, 0);
  const rest = Buffer.concat([Buffer.from('***'), frame(PING, 'p'), frame(0, '****')]);
  assert.deepEqual(messages.push(frame(0, 'abcd')), rest);
});

test('the reason of a close and a ping are masked', () => {
  const closing = frame(CLOSE, `\x03\xe8${SECRET}`);
  assert.deepEqual(masked(closing), frame(CLOSE, `\x03\xe8${MASK}`));
  assert.deepEqual(masked(frame(PING, SECRET)), frame(PING, MASK));
});

test('what is there of a control frame at the end does not go on', () => {
  assert.equal(masked(frame(CLOSE, `\x03\xe8${SECRET}`).subarray(0, -1)).length, 0);
});

test('frames in no order, and more pieces than anybody sends, end it', () => {
  const disorder = { code: 'upstream-reset', message: /order/ };
  assert.throws(() => masked(frame(0, 'x')), disorder);
  assert.throws(() => masked(Buffer.concat([frame(TEXT, 'x', false), frame(TEXT, 'x')])), disorder);
  const flood = Buffer.concat([
    frame(TEXT, 'abc', false),
    ...Array.from({ length: 1_000 }, () => frame(PING, 'x'.repeat(125))),
  ]);
  assert.throws(() => masked(flood), { code: 'upstream-reset', message: /too many pieces/ });
});
