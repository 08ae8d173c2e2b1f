import { unlink } from 'node:fs/promises';
import type { AuditLog } from './log.ts';
import { listSegments } from './segment-name.ts';

/**
 * Deletes the segments that were complete at a time, and says so for each.
 *
 * @param completeMs milliseconds since the epoch
 */
export async function expireSegments(
  dir: string,
  completeMs: number,
  log: AuditLog,
): Promise<void> {
  for (const { path, endsMs } of await listSegments(dir)) {
    if (endsMs <= completeMs && (await remove(path))) {
      log.info({ segment: path }, 'audit segment deleted: older than audit.keep');
    }
  }
}

/** false: another worker was faster. */
async function remove(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
