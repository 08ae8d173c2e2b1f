import type { Writable } from 'node:stream';
import picocolors from 'picocolors';
import { type Logger, pino } from 'pino';
import { printable } from './audit/printable.ts';

export type { Logger };

/**
 * The gateway's own log, on standard error: JSON Lines, or short lines for a person on a terminal.
 *
 * It tells of the gateway (started, cannot write, recovered). Of single exchanges it tells at the level `debug` alone: they
 * are in the audit. Begins at `info`; a configuration sets its `level`.
 *
 * @param facts what every line says besides
 */
export function createLogger(
  stream: Writable & { isTTY?: boolean },
  facts: object | null = null,
): Logger {
  // Whoever read the log is gone: there is nobody left to tell, and no reason to stop guarding the network.
  stream.on('error', () => {});
  const options = { base: facts, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level } };
  return pino(options, stream.isTTY === true ? prettyTo(stream) : printableTo(stream));
}

function level(label: string): { level: string } {
  return { level: label };
}

interface Lines {
  write(line: string): void;
}

/** JSON leaves some characters as they are that a terminal acts upon. */
function printableTo(stream: Writable): Lines {
  return {
    write(line) {
      stream.write(`${printable(line.trimEnd())}\n`);
    },
  };
}

const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  error: picocolors.red,
  fatal: picocolors.red,
  warn: picocolors.yellow,
};

function prettyTo(stream: Writable): Lines {
  return {
    write(line) {
      const { level, time, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
      const colour = COLOURS[String(level)] ?? ((text: string) => text);
      const rest = Object.entries(facts).map(([name, value]) => `${name}=${plain(value)}`);
      stream.write(
        `${String(time).slice(11, 19)} ${colour(plain(msg))} ${picocolors.dim(rest.join(' '))}\n`,
      );
    },
  };
}

/** Further lines of a text are indented, so that none passes for a line of the log. */
function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.split('\n').map(printable).join('\n  ');
}
