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
