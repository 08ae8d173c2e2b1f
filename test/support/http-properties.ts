import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import fc from 'fast-check';
import { CHUNK_END, chunkHead, HeadWriter, LAST_CHUNK } from '../../src/wire/http1/writer.ts';
import {
  brokenRequests,
  brokenResponses,
  type Sent,
  validRequests,
  validResponses,
} from './http-messages.ts';
import {
  nodeReadsRequests,
  nodeReadsResponse,
  type OwnSeen,
  type Reading,
  readRequests,
  readResponse,
  type Seen,
} from './http-readings.ts';

/** Something that holds for whatever is sent. */
export interface HttpProperty {
  readonly name: string;
  /** How many trials a run of the tests has time for. */
  readonly trials: number;
  /** Undefined when it held. */
  readonly check: (seed: number, trials: number) => Promise<Failure | undefined>;
}

export interface Failure {
  readonly report: string;
  /** What was sent, as a string literal for a table of cases. */
  readonly literal: string;
}

/** Whatever we accept, Node's parser must frame alike, and so must we, in whatever pieces it comes. */
export const HTTP_PROPERTIES: readonly HttpProperty[] = [
  property('Node reads valid requests as we do', 300, validRequests, ({ text }) =>
    readAlike(readRequests([latin1(text)]), nodeReadsRequests(latin1(text))),
  ),
  property('Node reads valid responses as we do', 300, validResponses, ({ text, method }) =>
    readAlike(readResponse([latin1(text)], method), nodeReadsResponse(latin1(text), method)),
  ),
  property('whatever requests we accept, Node sees no others', 1500, brokenRequests, ({ text }) =>
    seeNoOther(readRequests([latin1(text)]), nodeReadsRequests(latin1(text)), requestBeyondNode),
  ),
  property(
    'whatever responses we accept, Node sees no others',
    1500,
    brokenResponses,
    ({ text, method }) =>
      seeNoOther(readResponse([latin1(text)], method), nodeReadsResponse(latin1(text), method)),
  ),
  property('requests are read alike in whatever pieces', 500, brokenRequests, ({ text, cuts }) =>
    readAlikeInPieces(latin1(text), cuts, readRequests),
  ),
  property(
    'responses are read alike in whatever pieces',
    500,
    brokenResponses,
    ({ text, cuts, method }) =>
      readAlikeInPieces(latin1(text), cuts, (chunks) => readResponse(chunks, method)),
  ),
  property(
    'requests that are written anew are the same, for Node too',
    300,
    brokenRequests,
    async ({ text, cuts }) => {
      const { messages } = readRequests([latin1(text)]);
      const written = Buffer.concat(messages.map((message) => rewrite(message, cuts)));
      const again = readRequests([written]);
      assert.deepEqual(seenOf(again), { messages: messages.map(rewritten), fault: undefined });
      await seeNoOther(again, nodeReadsRequests(written), requestBeyondNode);
    },
  ),
  property(
    'responses that are written anew are the same, for Node too',
    300,
    brokenResponses,
    async ({ text, cuts, method }) => {
      const { messages } = readResponse([latin1(text)], method);
      const written = Buffer.concat(messages.map((message) => rewrite(message, cuts)));
      const again = readResponse([written], method);
      assert.deepEqual(seenOf(again), { messages: messages.map(rewritten), fault: undefined });
      await seeNoOther(again, nodeReadsResponse(written, method));
    },
  ),
];

function property(
  name: string,
  trials: number,
  sent: fc.Arbitrary<Sent>,
  holds: (sent: Sent) => Promise<void> | void,
): HttpProperty {
  const check = async (seed: number, numRuns: number) => {
    const held = fc.asyncProperty(sent, async (one) => holds(one));
    const details = await fc.check(held, { seed, numRuns });
    if (!details.failed) return undefined;
    const report = await fc.asyncDefaultReportMessage(details);
    return { report: report ?? name, literal: literalOf(details.counterexample?.[0].text ?? '') };
  };
  return { name, trials, check };
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function literalOf(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A reading without what only our codec tells. */
function seenOf({ messages, fault }: Reading<OwnSeen>): Reading {
  return { messages: messages.map(({ start, fields, body }) => ({ start, fields, body })), fault };
}

async function readAlike(ours: Reading<OwnSeen>, node: Promise<Reading>): Promise<void> {
  assert.equal(ours.fault, undefined);
  assert.deepEqual(seenOf(ours), await node);
}

/** Node may refuse what we accept, where that is known and not about framing; it must not read it otherwise. */
async function seeNoOther(
  reading: Reading<OwnSeen>,
  node: Promise<Reading>,
  beyondNode: (message: Seen, before: Seen | undefined) => boolean = () => false,
): Promise<void> {
  const ours = seenOf(reading);
  const theirs = await node;
  const both = Math.min(ours.messages.length, theirs.messages.length);
  assert.deepEqual(ours.messages.slice(0, both), theirs.messages.slice(0, both));
  const next = ours.messages[both];
  if (next !== undefined) assert.ok(beyondNode(next, ours.messages[both - 1]), next.start);
  // We may stop at a fault where Node goes on. Where we are content or wait for more, it must not see what we do not.
  if (ours.fault === undefined || ours.fault === 'cut') {
    assert.deepEqual(theirs.messages.slice(both), []);
  }
}

/** Methods unknown to Node, targets that it takes apart, and what follows HTTP/1.0. */
function requestBeyondNode({ start }: Seen, before: Seen | undefined): boolean {
  const [verb = '', path = ''] = start.split(' ');
  return (
    !METHODS.includes(verb) || !path.startsWith('/') || before?.start.endsWith(' 1.0') === true
  );
}

function readAlikeInPieces(
  bytes: Buffer,
  cuts: readonly number[],
  read: (chunks: readonly Buffer[]) => Reading<OwnSeen>,
): void {
  const whole = seenOf(read([bytes]));
  for (const chunks of [cut(bytes, cuts), Array.from(bytes, (byte) => Buffer.from([byte]))]) {
    const pieces = seenOf(read(chunks));
    assert.deepEqual(pieces.messages, whole.messages);
    // Which of several faults is told depends on the pieces; that there is one does not.
    assert.equal(pieces.fault === undefined, whole.fault === undefined, pieces.fault);
  }
}

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length].map((end, i) => bytes.subarray(places[i - 1] ?? 0, end));
}

const FRAMES = ['content-length', 'transfer-encoding'];

/** The same message in the way of a hop: fields kept, the body framed anew. */
function rewrite({ start, fieldLines, framing, body }: OwnSeen, cuts: readonly number[]): Buffer {
  const startLine = start.replace(/^(?=1\.[01] )|(?<= )(?=1\.[01]$)/, 'HTTP/');
  const writer = new HeadWriter(startLine);
  if (framing === 'length') writer.set('Content-Length', `${body.length}`);
  if (framing === 'chunked') writer.set('Transfer-Encoding', 'chunked');
  const head = writer.keep(fieldLines, () => false).toBuffer();
  const bytes = latin1(body);
  if (framing !== 'chunked') return Buffer.concat([head, bytes]);
  const pieces = cut(bytes, cuts).filter((piece) => piece.length > 0);
  const chunks = pieces.flatMap((piece) => [chunkHead(piece.length), piece, CHUNK_END]);
  return Buffer.concat([head, ...chunks, LAST_CHUNK]);
}

/** What `rewrite` should be read as. */
function rewritten({ start, fields, framing, body }: OwnSeen): Seen {
  if (framing !== 'length' && framing !== 'chunked') return { start, fields, body };
  const kept = fields.filter((_, i) => {
    const name = fields[i - (i % 2)] as string;
    return !FRAMES.includes(name.toLowerCase());
  });
  const own =
    framing === 'length' ? ['Content-Length', `${body.length}`] : ['Transfer-Encoding', 'chunked'];
  return { start, fields: [...own, ...kept], body };
}
