import type { KeyObject } from 'node:crypto';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { SekishoError } from '../core/errors.ts';
import { Checkpoints, type CheckpointsMeter } from './checkpoints.ts';
import type { AuditLog } from './log.ts';
import { expireSegments } from './retention.ts';
import { createFile, type SegmentFile } from './segment.ts';
import { readHead } from './segment-end.ts';
import { listSegments } from './segment-name.ts';
import { Statements } from './statements.ts';
import { type AuditWriter, SegmentWriter, type WriterMeter, type WriterOptions } from './writer.ts';

export interface AuditMeter extends WriterMeter, CheckpointsMeter {}

export interface AuditOptions
  extends Pick<WriterOptions, 'gateway' | 'policy' | 'durability' | 'now'> {
  /** Created, for this process's user only, where it is missing. */
  readonly dir: string;
  /** Segments older than this are deleted. */
  readonly keepMs: number;
  readonly checkpoint:
    | { readonly everyMs: number; readonly key: KeyObject; readonly copyTo: string | undefined }
    | undefined;
  readonly log: AuditLog;
  readonly meter: AuditMeter;
  /** Another way to make a segment's file. */
  readonly create?: (path: string) => SegmentFile;
}

const EXPIRY_INTERVAL_MS = 60 * 60 * 1000;

/**
 * Opens the record of one process: its segments, their checkpoints, and the expiry of what is old.
 *
 * @throws SekishoError `audit-unavailable` naming the directory, when a segment cannot be created there
 */
export async function openAudit(options: AuditOptions): Promise<AuditWriter> {
  const { dir } = options;
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return await openIn(options);
  } catch (error) {
    const { message } = error as Error;
    throw new SekishoError(
      'audit-unavailable',
      `the audit record cannot be written in ${dir}: ${message}; make it a directory that this user may write, or set gateway.dataDir`,
      { cause: error },
    );
  }
}

async function openIn(options: AuditOptions): Promise<AuditWriter> {
  const { dir, gateway, keepMs, checkpoint, now, log } = options;
  const statements = await Statements.open({ dir, gateway, key: checkpoint?.key, now });
  const newest = (await listSegments(dir)).at(-1);
  const after = newest === undefined ? null : await readHead(newest);
  const { create = createFile } = options;
  const writer = new SegmentWriter({ ...options, worker: randomUUID(), after, create });
  const expire = async () => {
    const gone = await expireSegments(dir, now() - keepMs, statements, log);
    for (const segment of gone) writer.forget(segment);
  };
  await expire();
  const expiry = setInterval(() => {
    expire().catch((error: unknown) =>
      log.error({ err: error }, 'old audit segments cannot be deleted'),
    );
  }, EXPIRY_INTERVAL_MS).unref();
  const heads = () => writer.heads;
  const checkpoints =
    checkpoint && new Checkpoints({ ...options, ...checkpoint, statements, heads });
  return {
    write: (line) => writer.write(line),
    adopt: (policy) => writer.adopt(policy),
    async close() {
      clearInterval(expiry);
      await writer.close();
      await checkpoints?.close();
    },
  };
}
