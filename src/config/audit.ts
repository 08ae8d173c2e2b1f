import { resolve } from 'node:path';
import type { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { AuditConfig, CheckpointConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { choice, line, list, parsed, section } from './shape.ts';
import { parseDuration, parseTimer } from './units.ts';

/** @throws Fault */
function parseRetention(text: string): number {
  const ms = parseDuration(text);
  if (ms > 0) return ms;
  throw new Fault('this would keep no record at all', 'write how long to keep them: 400d');
}

const LEAST_INTERVAL_MS = 1000;

/** @throws Fault */
function parseInterval(text: string): number {
  const ms = parseTimer(text);
  if (ms >= LEAST_INTERVAL_MS) return ms;
  throw new Fault(`${quote(text)} is too short for checkpoints`, 'write 1s or more: 1m');
}

export const auditSchema = section({
  durability: choice(['write', 'fsync']).default('write'),
  onFailure: choice(['deny', 'allow']).default('deny'),
  keep: parsed(parseRetention, 'A duration: 400d.').prefault('400d'),
  checkpoint: section({
    every: parsed(parseInterval, 'A duration: 1m.').prefault('1m'),
    key: section({ file: line }),
    copyTo: line.optional().meta({ description: 'A directory that the gateway cannot rewrite.' }),
  }).optional(),
  also: list(section({ squidLog: line })).optional(),
}).prefault({});

type Written = z.output<typeof auditSchema>;

export function toAudit(written: Written, merged: Merged): AuditConfig {
  const { checkpoint, also = [] } = written;
  return {
    durability: written.durability,
    onFailure: written.onFailure,
    keepMs: written.keep,
    checkpoint: checkpoint && toCheckpoint(checkpoint, merged),
    also: also.map(({ squidLog }) => ({
      squidLog: resolve(merged.folder(['audit', 'also']), squidLog),
    })),
  };
}

function toCheckpoint(
  { every, key, copyTo }: NonNullable<Written['checkpoint']>,
  merged: Merged,
): CheckpointConfig {
  const folder = merged.folder(['audit', 'checkpoint']);
  return {
    everyMs: every,
    key: resolve(folder, key.file),
    copyTo: copyTo === undefined ? undefined : resolve(folder, copyTo),
  };
}
