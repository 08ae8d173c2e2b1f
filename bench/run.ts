/**
 * The gateway beside its peers, on the same work: `npm run bench -- [ROW ...] [--peer NAME ...] [--rounds N] [--quick]`.
 *
 * Prints a table for each row and writes all figures to `bench/results` (`--out FILE`). Rows and peers are named by `--help`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.ts';
import { openCourse } from './course.ts';
import { machine } from './machine.ts';
import { measure, type RowResult } from './measure.ts';
import { OURS, PEERS } from './peers/peers.ts';
import { ROWS } from './rows/rows.ts';
import { table } from './table.ts';

const ROUNDS = 5;
/** For each contestant. */
const FULL = { seconds: 1, warmUp: { units: 100_000, leastSeconds: 4, mostSeconds: 30 } };
const QUICK = { seconds: 0.5, warmUp: { units: 1, leastSeconds: 0.5, mostSeconds: 0.5 } };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peer: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const names = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name).join(' ');

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Those with these names, in this order, or all. */
function chosen<T extends { readonly name: string }>(
  what: string,
  all: readonly T[],
  wanted: readonly string[] | undefined,
): readonly T[] {
  if (wanted === undefined || wanted.length === 0) return all;
  return wanted.map(
    (name) =>
      all.find((one) => one.name === name) ??
      fail(`there is no ${what} ${name}, but: ${names(all)}`),
  );
}

function fail(message: string): never {
  say(`bench: ${message}`);
  process.exit(2);
}

function roundsOf(text: string | undefined): number {
  const rounds = text === undefined ? (values.quick ? 1 : ROUNDS) : Number(text);
  return Number.isInteger(rounds) && rounds > 0 ? rounds : fail('--rounds takes a number from 1');
}

async function run(): Promise<void> {
  const rows = chosen('row', ROWS, positionals);
  const asked = chosen('peer', PEERS, values.peer);
  const rounds = roundsOf(values.rounds);
  const peers = asked.filter((peer) => peer.present());
  for (const { name } of asked.filter((peer) => !peers.includes(peer))) say(`${name} is not here`);
  say('building');
  build();
  const results: RowResult[] = [];
  const started = new Date();
  const about = { date: started.toISOString(), machine: machine(), versions: versionsOf(peers) };
  const course = await openCourse(peers, values.quick ? QUICK : FULL);
  const file = values.out ?? join(import.meta.dirname, 'results', `${fileName(started)}.json`);
  mkdirSync(dirname(file), { recursive: true });
  try {
    for (const row of rows) {
      const result = await measure(row, course, rounds, say);
      results.push(result);
      process.stdout.write(`${table(row, result)}\n`);
      // After each: a run takes a quarter of an hour, and one row that fails need not cost the others.
      writeFileSync(file, `${JSON.stringify({ ...about, rows: results }, undefined, 2)}\n`);
    }
  } finally {
    await course.close();
  }
  say(`written to ${file}`);
}

function versionsOf(peers: typeof PEERS): Record<string, string> {
  return Object.fromEntries([OURS, ...peers].map((peer) => [peer.name, peer.version()]));
}

function fileName(date: Date): string {
  return date.toISOString().slice(0, 19).replaceAll(/[T:]/g, '-');
}

if (values.help) say(`rows: ${names(ROWS)}\npeers: ${names(PEERS)}`);
else await run();
