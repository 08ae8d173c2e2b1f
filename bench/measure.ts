import type { Course, Entered, Figures, Row, Series } from './rows/row.ts';
import { type Spread, spreadOf } from './spread.ts';

export interface RowResult {
  readonly name: string;
  readonly title: string;
  readonly rounds: number;
  readonly contestants: readonly ContestantResult[];
  readonly targets: readonly TargetResult[];
}

export interface ContestantResult {
  readonly name: string;
  readonly figures: Readonly<Record<string, Spread>>;
  /** How many times the first contestant's figure of the first column this one has, round by round. */
  readonly ratio: Spread | undefined;
}

export interface TargetResult {
  readonly title: string;
  readonly wanted: string;
  readonly measured: Spread;
  readonly reached: boolean;
}

export type Progress = (line: string) => void;

/** All contestants of a row, in turns, so that whatever else the machine does meets them alike. */
export async function measure(
  row: Row,
  course: Course,
  wanted: number,
  progress: Progress,
): Promise<RowResult> {
  const rounds = Math.min(wanted, row.mostRounds ?? wanted);
  const entered: { name: string; running: Entered; figures: Figures[] }[] = [];
  try {
    for (const contestant of row.contestants(course)) {
      progress(`${row.name}: ${contestant.name} gets ready`);
      entered.push({ name: contestant.name, running: await contestant.enter(), figures: [] });
    }
    for (let round = 1; round <= rounds; round++) {
      for (const { name, running, figures } of entered) {
        progress(`${row.name}: round ${round} of ${rounds}, ${name}`);
        figures.push(await running.round());
      }
    }
  } finally {
    for (const { running } of entered) await running.leave();
  }
  return conclude(row, rounds, new Map(entered.map(({ name, figures }) => [name, figures])));
}

function conclude(row: Row, rounds: number, all: ReadonlyMap<string, Figures[]>): RowResult {
  const series: Series = (name, key) =>
    (all.get(name) ?? []).flatMap((figures) => figures[key] ?? []);
  const names = [...all.keys()];
  const [first] = names;
  const key = row.columns[0]?.key;
  const ratioOf = (name: string) => {
    if (first === undefined || key === undefined || name === first) return undefined;
    const [base, other] = [series(first, key), series(name, key)];
    return spreadOf(other.map((value, i) => value / (base[i] ?? Number.NaN)));
  };
  return {
    name: row.name,
    title: row.title,
    rounds,
    contestants: names.map((name) => ({
      name,
      figures: Object.fromEntries(
        keysOf(all.get(name)).flatMap((key) => {
          const spread = spreadOf(series(name, key));
          return spread === undefined ? [] : [[key, spread]];
        }),
      ),
      ratio: ratioOf(name),
    })),
    targets: row.targets.flatMap((target) => judge(target, series)),
  };
}

/** Of all that was measured, whether a column shows it or not. */
function keysOf(rounds: readonly Figures[] = []): string[] {
  return [...new Set(rounds.flatMap((figures) => Object.keys(figures)))];
}

function judge(target: Row['targets'][number], series: Series): TargetResult[] {
  const measured = spreadOf(target.values(series));
  if (measured === undefined) return [];
  const { title, atLeast, atMost } = target;
  const reached =
    (atLeast === undefined || measured.median >= atLeast) &&
    (atMost === undefined || measured.median <= atMost);
  const wanted = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return [{ title, wanted, measured, reached }];
}
