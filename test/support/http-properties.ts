import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CHUNK_END, chunkHead, HeadWriter, LAST_CHUNK } from '../../src/wire/http1/writer.ts';
import { cut, readAlikeInPieces, requestBeyondNode, seeNoOther, seenOf } from './http-agreement.ts';
import {
  brokenRequests,
  brokenResponses,
  type Sent,
  validRequests,
  validResponses,
} from './http-messages.ts';
import { nodeReadsRequests, nodeReadsResponse } from './http-node-readings.ts';
import {
  bytesOf,
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

/** One of the two ways over a connection. */
interface Direction {
  readonly what: string;
  readonly valid: fc.Arbitrary<Sent>;
  readonly broken: fc.Arbitrary<Sent>;
  readonly read: (chunks: readonly Buffer[], sent: Sent) => Reading<OwnSeen>;
  readonly nodeReads: (bytes: Buffer, sent: Sent) => Promise<Reading>;
  readonly beyondNode: (message: Seen) => boolean;
}

const REQUESTS: Direction = {
  what: 'requests',
  valid: validRequests,
  broken: brokenRequests,
  read: readRequests,
  nodeReads: nodeReadsRequests,
  beyondNode: requestBeyondNode,
};

const RESPONSES: Direction = {
  what: 'responses',
  valid: validResponses,
  broken: brokenResponses,
  read: (chunks, { method }) => readResponse(chunks, method),
  nodeReads: (bytes, { method }) => nodeReadsResponse(bytes, method),
  beyondNode: () => false,
};

/** Whatever we accept, Node's parser must frame alike, and so must we, in whatever pieces it comes. */
export const HTTP_PROPERTIES: readonly HttpProperty[] = [REQUESTS, RESPONSES].flatMap(
  ({ what, valid, broken, read, nodeReads, beyondNode }) => [
    property(`Node reads valid ${what} as we do`, 300, valid, async (sent) => {
      const bytes = bytesOf(sent.text);
      const ours = read([bytes], sent);
      assert.equal(ours.fault, undefined);
      assert.deepEqual(seenOf(ours), await nodeReads(bytes, sent));
    }),
    property(`whatever ${what} we accept, Node reads no others`, 1500, broken, async (sent) => {
      const bytes = bytesOf(sent.text);
      await seeNoOther(read([bytes], sent), nodeReads(bytes, sent), beyondNode);
    }),
    property(`${what} are read alike in whatever pieces`, 500, broken, (sent) => {
      const bytes = bytesOf(sent.text);
      const whole = read([bytes], sent);
      for (const cuts of [sent.cuts, [...bytes.keys()]]) {
        readAlikeInPieces(bytes, cuts, (chunks) => read(chunks, sent), whole);
      }
    }),
    property(`${what} that are written anew are the same`, 500, broken, async (sent) => {
      const { messages } = read([bytesOf(sent.text)], sent);
      const written = Buffer.concat(messages.map((message) => rewrite(message, sent.cuts)));
      const again = read([written], sent);
      assert.deepEqual(seenOf(again), { messages: messages.map(rewritten), fault: undefined });
      await seeNoOther(again, nodeReads(written, sent), beyondNode);
    }),
  ],
);

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

function literalOf(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const FRAMES = ['content-length', 'transfer-encoding'];

/** The same message in the way of a hop: fields kept, the body framed anew. */
function rewrite(
  { startLine, fieldLines, framing, body }: OwnSeen,
  cuts: readonly number[],
): Buffer {
  const writer = new HeadWriter(startLine);
  if (framing === 'length') writer.set('Content-Length', `${body.length}`);
  if (framing === 'chunked') writer.set('Transfer-Encoding', 'chunked');
  const head = writer.keep(fieldLines, () => false).toBuffer();
  const bytes = bytesOf(body);
  if (framing !== 'chunked') return Buffer.concat([head, bytes]);
  const pieces = cut(bytes, cuts).filter((piece) => piece.length > 0);
  const chunks = pieces.flatMap((piece) => [chunkHead(piece.length), piece, CHUNK_END]);
  return Buffer.concat([head, ...chunks, LAST_CHUNK]);
}

/** What `rewrite` should be read as. */
function rewritten({ startLine, fields, framing, body }: OwnSeen): Seen {
  if (framing !== 'length' && framing !== 'chunked') return { startLine, fields, body };
  const kept = fields.filter((_, i) => {
    const name = fields[i - (i % 2)] as string;
    return !FRAMES.includes(name.toLowerCase());
  });
  const own =
    framing === 'length' ? ['Content-Length', `${body.length}`] : ['Transfer-Encoding', 'chunked'];
  return { startLine, fields: [...own, ...kept], body };
}
