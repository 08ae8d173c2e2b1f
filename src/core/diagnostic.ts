import { SekishoError } from './errors.ts';

/** Where a value stands in the files: 1-based line and column. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something about the configuration that its author has to know. A fault keeps it from being used. */
export interface Diagnostic {
  readonly severity: 'fault' | 'warning';
  readonly at: Position;
  /** What is wrong: one sentence without a full stop. Never holds a secret or a control character. */
  readonly message: string;
  /** What would be right. */
  readonly remedy: string;
}

/** Every fault of a configuration, in the order of the files. */
export class ConfigError extends SekishoError {
  readonly faults: readonly Diagnostic[];

  constructor(faults: readonly Diagnostic[]) {
    const sorted = sortDiagnostics(faults);
    super('config-invalid', sorted.map(diagnosticText).join('\n'));
    this.name = 'ConfigError';
    this.faults = sorted;
  }
}

/** What a parser of one value throws; whoever knows where the value stands makes a `Diagnostic` of it. */
export class Fault extends SekishoError {
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super('config-invalid', message);
    this.name = 'Fault';
    this.remedy = remedy;
  }

  at(at: Position): Diagnostic {
    return { severity: 'fault', at, message: this.message, remedy: this.remedy };
  }
}

/** `sekisho.yaml:12:5: message; remedy` */
export function diagnosticText({ at, message, remedy }: Diagnostic): string {
  return `${positionText(at)}: ${message}; ${remedy}`;
}

export function positionText(at: Position): string {
  return `${at.file}:${at.line}:${at.column}`;
}

/** By file, line and column; equal ones once. */
export function sortDiagnostics(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const sorted = [...diagnostics].sort(
    (a, b) =>
      compareText(a.at.file, b.at.file) ||
      a.at.line - b.at.line ||
      a.at.column - b.at.column ||
      compareText(a.message, b.message),
  );
  return sorted.filter((one, i) => {
    const before = sorted[i - 1];
    return before === undefined || diagnosticText(before) !== diagnosticText(one);
  });
}

/** By code units: the same order on every machine, whatever its locale. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

const MAX_QUOTED = 80;
// What JSON leaves as it is and a terminal obeys or hides: C1 controls, marks that turn the reading direction, blanks.
const INVISIBLE = /[\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Text from a file, fit to stand in a message. */
export function quote(text: string): string {
  const cut = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  return JSON.stringify(cut).replace(
    INVISIBLE,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function warning(at: Position, message: string, remedy: string): Diagnostic {
  return { severity: 'warning', at, message, remedy };
}
