import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import type { OwnSeen, Reading, Seen } from './http-readings.ts';

/** A reading without what only our codec tells. */
export function seenOf({ messages, fault }: Reading<OwnSeen>): Reading {
  return {
    messages: messages.map(({ startLine, fields, body }) => ({ startLine, fields, body })),
    fault,
  };
}

/**
 * Node may refuse what we accept where that is known: whatever follows HTTP/1.0 on a connection, and what `beyondNode`
 * says. It must not read it otherwise.
 */
export async function seeNoOther(
  reading: Reading<OwnSeen>,
  node: Promise<Reading>,
  beyondNode: (message: Seen) => boolean = () => false,
): Promise<void> {
  const ours = seenOf(reading);
  const theirs = await node;
  const both = Math.min(ours.messages.length, theirs.messages.length);
  assert.deepEqual(ours.messages.slice(0, both), theirs.messages.slice(0, both));
  const next = ours.messages[both];
  if (next !== undefined) {
    const afterOld = /^HTTP\/1\.0 | HTTP\/1\.0$/.test(ours.messages[both - 1]?.startLine ?? '');
    assert.ok(afterOld || beyondNode(next), next.startLine);
  }
  // We may stop at a fault where Node goes on. Where we are content or wait for more, it must not see what we do not.
  if (ours.fault === undefined || ours.fault === 'cut') {
    assert.deepEqual(theirs.messages.slice(both), []);
  }
}

/** Methods that Node does not know, and targets that it takes apart: none of the framing. */
export function requestBeyondNode({ startLine }: Seen): boolean {
  const [verb = '', path = ''] = startLine.split(' ');
  return !METHODS.includes(verb) || !path.startsWith('/');
}

/** Reads bytes in the pieces that end at `cuts`, each taken modulo the length, and holds it against `whole`. */
export function readAlikeInPieces(
  bytes: Buffer,
  cuts: readonly number[],
  read: (chunks: readonly Buffer[]) => Reading<OwnSeen>,
  whole: Reading<OwnSeen>,
): void {
  const pieces = read(cut(bytes, cuts));
  assert.deepEqual(seenOf(pieces).messages, seenOf(whole).messages);
  // Which of several faults is told depends on the pieces; that there is one does not.
  assert.equal(pieces.fault === undefined, whole.fault === undefined, pieces.fault);
}

export function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
  return [...places, bytes.length].map((end, i) => bytes.subarray(places[i - 1] ?? 0, end));
}
