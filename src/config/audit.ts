import type { z } from 'zod';
import { Fault } from '../core/diagnostic.ts';
import type { AuditConfig } from './config.ts';
import { choice, notYet, parsed, section } from './shape.ts';
import { parseDuration } from './units.ts';

/** @throws Fault */
function parseRetention(text: string): number {
  const ms = parseDuration(text);
  if (ms > 0) return ms;
  throw new Fault('this would keep no record at all', 'write how long to keep them: 400d');
}

export const auditSchema = section({
  durability: choice(['write', 'fsync']).default('write'),
  onFailure: choice(['deny', 'allow']).default('deny'),
  keep: parsed(parseRetention, 'A duration: 400d.').prefault('400d'),
  checkpoint: notYet('checkpoint'),
  also: notYet('also'),
}).prefault({});

export function toAudit(written: z.output<typeof auditSchema>): AuditConfig {
  return {
    durability: written.durability,
    onFailure: written.onFailure,
    keepMs: written.keep,
  };
}
