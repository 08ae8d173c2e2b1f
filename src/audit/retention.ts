import { unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { AuditLog } from './log.ts';
import { countLines, readHead } from './segment-end.ts';
import { listSegments } from './segment-name.ts';
import type { Statements } from './statements.ts';

/**
 * Deletes the segments that were complete at a time, and says so for each: in the log, and before that among the
 * statements, where `verify` finds how the chain went over them.
 *
 * @param completeMs milliseconds since the epoch
 * @returns the names of what was deleted
 */
export async function expireSegments(
  dir: string,
  completeMs: number,
  statements: Statements,
  log: AuditLog,
): Promise<readonly string[]> {
  const expired = (await listSegments(dir)).filter(({ endsMs }) => endsMs <= completeMs);
  const unsaid = expired.filter(({ path }) => !statements.isExpired(basename(path)));
  const boundaries = await Promise.all(
    unsaid.map(async (segment) => {
      const known = statements.known(basename(segment.path));
      if (known?.closed === true) return known;
      const head = await readHead(segment);
      return { ...head, closed: true, lines: await countLines(segment.path, head.length) };
    }),
  );
  if (boundaries.length > 0) statements.append('expired', boundaries);
  for (const { path } of expired) {
    await unlink(path);
    statements.forget(basename(path));
    log.info({ segment: path }, 'audit segment deleted: older than audit.keep');
  }
  return expired.map(({ path }) => basename(path));
}
