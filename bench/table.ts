import type { ContestantResult, RowResult, TargetResult } from './measure.ts';
import type { Column, Row } from './rows/row.ts';
import type { Spread } from './spread.ts';

/** A row as Markdown: the median of the rounds, and between brackets the least and the most of the first column. */
export function table(row: Row, { title, rounds, contestants, targets }: RowResult): string {
  const [first] = contestants;
  const header = ['', ...row.columns.map(({ title }) => title), `× ${first?.name}`];
  const lines = contestants.map((contestant) => cells(row.columns, contestant));
  return [
    `## ${title}`,
    '',
    `${row.name}, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`,
    '',
    ...aligned([header, ...lines]),
    '',
    ...targets.map(targetLine),
    ...generatorLine(contestants),
    ...(row.notes ?? []).map((note) => `- ${note}`),
    '',
  ].join('\n');
}

function cells(columns: readonly Column[], { name, figures, ratio }: ContestantResult): string[] {
  const shown = columns.map(({ key, digits }, i) => {
    const spread = figures[key];
    if (spread === undefined) return '';
    return i === 0 ? range(spread, digits) : spread.median.toFixed(digits);
  });
  return [name, ...shown, ratio === undefined ? '' : range(ratio, 2)];
}

function range({ min, median, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

function targetLine({ title, wanted, measured, reached }: TargetResult): string {
  return `- ${reached ? 'reached' : 'MISSED'}: ${title}: ${range(measured, 2)}, ${wanted}`;
}

/** From so much of a core on, it may be the generator that a rate is of. */
const SATURATED = 0.85;

/** Whether the load generator was faster than what it measured. Time in which it waited for a core is time that it had not. */
function generatorLine(contestants: readonly ContestantResult[]): string[] {
  const busy = contestants.flatMap(({ name, figures: { generator, starved } }) =>
    generator === undefined ? [] : [{ name, share: generator.median + (starved?.median ?? 0) }],
  );
  const [first, ...others] = busy.toSorted((a, b) => b.share - a.share);
  if (first === undefined) return [];
  const saturated = [first, ...others].filter(({ share }) => share >= SATURATED);
  const told = saturated.map(({ name, share }) => `${name} (${share.toFixed(2)})`).join(', ');
  return saturated.length === 0
    ? [
        `- the load generator is the faster one: it ran or waited for a core ${first.share.toFixed(2)} of the time at most`,
      ]
    : [
        `- GENERATOR SATURATED: it ran or waited for a core nearly all the time, so that the rate is its own, beside ${told}`,
      ];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, i) => (i === 0 ? (row[i] ?? '').padEnd(width) : (row[i] ?? '').padStart(width))).join(' | ')} |`;
  const [header = [], ...rest] = rows;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(header), rule, ...rest.map(line)];
}
