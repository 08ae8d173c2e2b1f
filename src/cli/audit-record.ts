import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { AuditEvent } from '../audit/event.ts';
import { type AuditFilter, type DestinationFilter, searchAudit } from '../audit/search.ts';
import { load } from '../config/load.ts';
import { parseDuration, parseLastDay } from '../config/units.ts';
import { Fault } from '../core/diagnostic.ts';
import { SekishoError } from '../core/errors.ts';
import { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { REASONS } from '../core/reasons.ts';
import { Refusal } from '../core/refusal.ts';

/** Where the record is that a command reads. */
export interface RecordOptions {
  readonly config: string;
  readonly dir?: string;
}

export function addRecordOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration that names the record', 'sekisho.yaml')
    .option('--dir <folder>', 'the record itself: no configuration is read');
}

export function recordDir({ config, dir }: RecordOptions): string {
  if (dir !== undefined) return dir;
  return join(load(config, { env: process.env }).config.gateway.dataDir, 'audit');
}

export interface FilterOptions {
  readonly type?: readonly AuditEvent['type'][];
  readonly principal?: string;
  readonly destination?: DestinationFilter;
  readonly reason?: string;
  readonly effect?: 'allow' | 'deny';
  readonly since?: number;
  readonly until?: number;
  readonly text?: string;
}

export const TYPES = ['decision', 'outcome', 'suppressed', 'reload', 'refresh', 'ranges'] as const;

export function addFilterOptions(command: Command): Command {
  return addTimeOptions(command)
    .option('--principal <name>', 'whose exchanges')
    .option('--destination <host>', 'where to: HOST, .SUFFIX, HOST:PORT', parseDestination)
    .option('--reason <code>', 'a reason code', oneOf(Object.keys(REASONS)))
    .option('--effect <effect>', 'allow or deny', oneOf(['allow', 'deny']))
    .option('--text <text>', 'a text anywhere in the event')
    .option('--type <type>', `${TYPES.join(', ')}; may be repeated`, collectTypes);
}

export function addTimeOptions(command: Command): Command {
  const now = Date.now();
  return command
    .option('--since <time>', 'from: 2026-11-23, 2026-11-23T05:10:00Z, 2h ago', parseSince(now))
    .option('--until <time>', 'up to, likewise', parseUntil(now));
}

export function toFilter(options: FilterOptions, types: AuditFilter['types']): AuditFilter {
  const { type = types, since, until, ...rest } = options;
  return { ...rest, types: type, sinceMs: since, untilMs: until };
}

/** As `searchAudit`. @throws SekishoError `audit-unreadable` */
export async function* searchRecord(
  options: RecordOptions,
  filter: AuditFilter,
): AsyncGenerator<string[]> {
  try {
    yield* searchAudit(recordDir(options), filter);
  } catch (error) {
    throw unreadable(error as Error);
  }
}

/** Says what the file system says; other errors stay as they are. */
export function unreadable(error: NodeJS.ErrnoException): Error {
  if (error.syscall === undefined) return error;
  const message = `the record cannot be read: ${error.message}`;
  return new SekishoError('audit-unreadable', message, { cause: error });
}

function oneOf(words: readonly string[]) {
  return (word: string): string => {
    if (words.includes(word)) return word;
    throw new InvalidArgumentError(`It must be one of ${words.join(', ')}.`);
  };
}

function collectTypes(word: string, types: readonly string[] = []): string[] {
  return [...types, oneOf(TYPES)(word)];
}

export function parseDestination(text: string): DestinationFilter {
  const match = /^(\.?)(\[[^\]]+\]|[^:]+)(?::(\d{1,5}))?$/.exec(text);
  const [, dot, name = text, port] = match ?? [];
  try {
    const ip = Ip.parse(name.replace(/^\[(.*)\]$/, '$1'));
    const host = ip?.bracketed ?? Hostname.parseWritten(name).name;
    return { host, below: dot === '.', port: port === undefined ? undefined : Number(port) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new InvalidArgumentError('It must be HOST, .SUFFIX or HOST:PORT.');
  }
}

function parseSince(now: number) {
  return (text: string) => parseTime(text, now, (lastMs) => lastMs - 86_400_000 + 1);
}

function parseUntil(now: number) {
  return (text: string) => parseTime(text, now, (lastMs) => lastMs);
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/** @param ofDay what of a day is meant, by its last millisecond */
function parseTime(text: string, now: number, ofDay: (lastMs: number) => number): number {
  const instant = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(instant)) return instant;
  try {
    return /^\d+[a-z]+$/.test(text) ? now - parseDuration(text) : ofDay(parseLastDay(text));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const examples = '2026-11-23, 2026-11-23T05:10:00Z (with its zone), or 2h for two hours ago';
    throw new InvalidArgumentError(`It must be a time: ${examples}.`);
  }
}
