import assert from 'node:assert/strict';
import { test } from 'node:test';
import requestTable from '../../../test/cases/http1-requests.json' with { type: 'json' };
import responseTable from '../../../test/cases/http1-responses.json' with { type: 'json' };
import {
  readAlikeInPieces,
  requestBeyondNode,
  seeNoOther,
} from '../../../test/support/http-agreement.ts';
import { nodeReadsRequests, nodeReadsResponse } from '../../../test/support/http-node-readings.ts';
import {
  bytesOf,
  type OwnSeen,
  type Reading,
  readRequests,
  readResponse,
} from '../../../test/support/http-readings.ts';

interface Row {
  readonly bytes: string;
  readonly reads: readonly (readonly string[])[];
  readonly refuse?: string;
}

/** Whole, cut in two at every place, and byte by byte. */
function readsAsItShould(
  { bytes, reads, refuse }: Row,
  read: (chunks: readonly Buffer[]) => Reading<OwnSeen>,
): Reading<OwnSeen> {
  const sent = bytesOf(bytes);
  const whole = read([sent]);
  const messages = whole.messages.map(({ startLine, framing, body }) => [startLine, framing, body]);
  assert.deepEqual({ messages, fault: whole.fault }, { messages: reads, fault: refuse });
  for (let at = 1; at < sent.length; at++) readAlikeInPieces(sent, [at], read, whole);
  readAlikeInPieces(sent, [...sent.keys()], read, whole);
  return whole;
}

test('each row of requests is read or refused as it says, and Node reads no others', async (t) => {
  for (const row of requestTable.cases) {
    await t.test(row.name, async () => {
      const ours = readsAsItShould(row, readRequests);
      await seeNoOther(ours, nodeReadsRequests(bytesOf(row.bytes)), requestBeyondNode);
    });
  }
});

test('each row of responses is read or refused as it says, and Node reads no others', async (t) => {
  for (const row of responseTable.cases) {
    const { name, method, bytes } = row;
    await t.test(name, async () => {
      const ours = readsAsItShould(row, (chunks) => readResponse(chunks, method));
      // Node leaves to its caller what follows a tunnel or a switch of protocols.
      if (method === 'CONNECT' || bytes.startsWith('HTTP/1.1 101')) return;
      await seeNoOther(ours, nodeReadsResponse(bytesOf(bytes), method));
    });
  }
});
