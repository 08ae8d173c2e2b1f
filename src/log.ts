import type { Writable } from 'node:stream';
import picocolors from 'picocolors';
import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The gateway's own log, on standard error: JSON Lines, or short lines for a person on a terminal.
 *
 * @param facts what every line says besides
 *
 * It tells of the gateway (started, cannot write, recovered), never of single exchanges: those are in the audit.
 */
export function createLogger(
  stream: Writable & { isTTY?: boolean },
  facts: object | null = null,
): Logger {
  // Whoever read the log is gone: there is nobody left to tell, and no reason to stop guarding the network.
  stream.on('error', () => {});
  const options = { base: facts, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level } };
  return pino(options, stream.isTTY === true ? prettyTo(stream) : stream);
}

function level(label: string): { level: string } {
  return { level: label };
}

const COLOURS: Readonly<Record<string, (text: string) => string>> = {
  error: picocolors.red,
  fatal: picocolors.red,
  warn: picocolors.yellow,
};

function prettyTo(stream: Writable): { write(line: string): void } {
  return {
    write(line) {
      const { level, time, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
      const colour = COLOURS[String(level)] ?? ((text: string) => text);
      const rest = Object.entries(facts).map(([name, value]) => `${name}=${plain(value)}`);
      stream.write(
        `${String(time).slice(11, 19)} ${colour(String(msg))} ${picocolors.dim(rest.join(' '))}\n`,
      );
    },
  };
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
