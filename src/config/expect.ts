import { z } from 'zod';
import { parseAuthority } from '../core/destination.ts';
import { Fault, quote } from '../core/diagnostic.ts';
import { Refusal } from '../core/refusal.ts';
import type { Expectation } from './config.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { parseMethod } from './rules.ts';
import { choice, line, parsed, section } from './shape.ts';

/** @throws Fault */
function parseSubject(text: string, names: Names): string {
  if (text === 'anonymous' || !names.complete || names.principals.has(text)) return text;
  if (names.groups.has(text)) {
    throw new Fault(`${quote(text)} is a group`, 'name one principal of it');
  }
  return names.usePrincipal(text);
}

/** `host:port`, as a client would ask for it. @throws Fault */
function parseTarget(text: string): string {
  const remedy = 'write "host:port", such as "api.example.com:443"';
  try {
    if (parseAuthority(text).port !== undefined) return text;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Fault(`${quote(text)} cannot be asked for: ${error.message}`, remedy);
  }
  throw new Fault(`${quote(text)} names no port`, remedy);
}

export function expectSchema(names: Names) {
  const expectation = section({
    principal: parsed((text) => parseSubject(text, names)),
    to: parsed(parseTarget),
    method: parsed(parseMethod).optional(),
    path: line.optional(),
    decision: choice(['allow', 'deny']),
  });
  return z.array(expectation).prefault([]);
}

export function toExpectations(
  written: z.output<ReturnType<typeof expectSchema>>,
  merged: Merged,
): Expectation[] {
  return written.map(({ principal, to, method, path, decision }, i) => ({
    principal,
    to,
    method,
    path,
    decision,
    at: merged.at(['expect', i]),
  }));
}
