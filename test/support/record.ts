import { openSegments, type SegmentsOptions } from '../../src/audit/audit.ts';
import { Custody, type CustodyOptions } from '../../src/audit/custody.ts';
import type { AuditWriter } from '../../src/audit/writer.ts';

export type RecordOptions = SegmentsOptions & Omit<CustodyOptions, 'writers'>;

/** A record that one process writes and keeps. */
export async function openRecord(options: RecordOptions): Promise<AuditWriter> {
  const writer = await openSegments(options);
  const custody = await Custody.open({
    ...options,
    writers: { heads: async () => writer.heads, forget: (segments) => writer.forget(segments) },
  });
  return {
    write: (line) => writer.write(line),
    adopt: (policy) => writer.adopt(policy),
    async close() {
      await writer.close();
      await custody.close();
    },
  };
}
