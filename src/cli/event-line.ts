import type { Colors } from 'picocolors/types.js';
import type {
  AuditEvent,
  DecisionEvent,
  OutcomeEvent,
  RangesEvent,
  RefreshEvent,
} from '../audit/event.ts';
import { printable } from '../audit/printable.ts';
import { passes } from '../core/decision.ts';

/** One line for a person: what ended an exchange, how many refusals were not written, or that the policy changed. */
export function eventLine(event: AuditEvent, colors: Colors): string {
  const time = colors.dim(event.time.slice(5, 23).replace('T', ' '));
  if (event.type === 'suppressed') {
    const who = event.client ?? 'further clients';
    const what = `${event.count} more refusals of ${printable(who)} since ${event.from.slice(11, 19)}`;
    return `${time} ${colors.red('✗')} ${colors.dim(what)}`;
  }
  if (event.type === 'reload') {
    const policy = event.from === event.to ? 'read again, the same policy' : 'new policy';
    const what = `${policy} ${event.to}: ${event.count} differences, ${event.ended} tunnels ended`;
    return `${time} ${colors.yellow('~')} ${colors.dim(what)}`;
  }
  if (event.type === 'refresh') return `${time} ${refreshText(event, colors)}`;
  if (event.type === 'ranges') return `${time} ${rangesText(event, colors)}`;
  const { principal, action } = event;
  const cells = [
    time,
    mark(event, colors),
    cell(principal ?? '-', 20),
    cell(action, 7),
    cell(`${event.destination ?? '-'}${event.path ?? ''}`, 36),
    cell(judgement(event), 30),
  ];
  if (event.type === 'decision') return cells.join(' ').trimEnd();
  const { status, bytesUp, bytesDown, durationMs } = event.outcome;
  return [
    ...cells,
    String(status ?? '-').padStart(3),
    `${bytes(bytesUp)} up`.padStart(11),
    `${bytes(bytesDown)} down`.padStart(13),
    `${Math.round(durationMs)} ms`.padStart(9),
  ].join(' ');
}

function refreshText({ sets, ended }: RefreshEvent, colors: Colors): string {
  const parts = sets.map(({ set, closed, counts }) => {
    const what = `${counts.added} added, ${counts.removed} removed`;
    return `${printable(set)} ${closed ? 'closed: its list is too old' : what}`;
  });
  return `${colors.yellow('~')} ${colors.dim(`lists: ${parts.join('; ')}; ${ended} tunnels ended`)}`;
}

function rangesText({ target, stage, counts, detail }: RangesEvent, colors: Colors): string {
  const what = `${counts.add} added, ${counts.move} moved, ${counts.remove} removed`;
  if (stage === 'plan') return `${colors.yellow('~')} ranges ${target}: to be ${what}`;
  if (stage === 'applied') return `${colors.green('✓')} ranges ${target}: ${what}`;
  return `${colors.red('✗')} ranges ${target}: ${printable(detail ?? 'failed')}`;
}

function mark(event: OutcomeEvent | DecisionEvent, colors: Colors): string {
  const { decision } = event;
  if (decision === null || !passes(decision)) return colors.red('✗');
  if (errorOf(event) !== null) return colors.yellow('!');
  return decision.effect === 'allow' ? colors.green('✓') : colors.yellow('~');
}

/** The rule that allowed it, or what stood or came in the way. */
function judgement(event: OutcomeEvent | DecisionEvent): string {
  const { decision } = event;
  const error = errorOf(event);
  if (decision === null) return error ?? '-';
  const { reason, rule, mode } = decision;
  const why =
    decision.effect === 'allow' ? (rule ?? reason) : [reason, rule].filter(Boolean).join(' ');
  return [why, mode === 'report' ? '(report)' : '', error ?? ''].filter(Boolean).join(' ');
}

function errorOf(event: OutcomeEvent | DecisionEvent): string | null {
  return event.type === 'outcome' ? event.outcome.error : null;
}

function cell(text: string, width: number): string {
  return printable(text).padEnd(width);
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

function bytes(count: number): string {
  let [size, unit] = [count, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${unit === 0 ? size : size.toFixed(1)} ${UNITS[unit]}`;
}
