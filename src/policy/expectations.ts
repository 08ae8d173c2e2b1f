import type { Expectation } from '../config/config.ts';
import type { Decision } from '../core/decision.ts';
import { parseAuthority } from '../core/destination.ts';
import { type Diagnostic, quote } from '../core/diagnostic.ts';
import { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import { decideAddress, decideName, goingOn, type Policy, type Question } from './policy.ts';

const NOTHING_OWN = { isOwn: () => false, isListener: () => false };

/** A fault for every policy test (`expect`) whose decision is another one. */
export function checkExpectations(
  policy: Policy,
  expectations: readonly Expectation[],
  now: number,
): Diagnostic[] {
  const owners = new Map(policy.config.principals.map(({ name, owner }) => [name, owner]));
  return expectations.flatMap((expectation) => {
    const question = questionOf(expectation, owners, now);
    const decision = decide(policy, question);
    if (decision.effect === expectation.decision) return [];
    return [failure(expectation, decision)];
  });
}

function questionOf(
  { principal: name, to, method, path }: Expectation,
  owners: ReadonlyMap<string, string | undefined>,
  now: number,
): Question {
  const owner = owners.get(name);
  const principal: Principal = { name, method: 'header', ...(owner !== undefined && { owner }) };
  const readable = method !== undefined || path !== undefined;
  const { host, port } = parseAuthority(to);
  return {
    principal: name === 'anonymous' ? undefined : principal,
    // `load` refuses an expectation without a port.
    destination: { scheme: readable ? 'http' : 'tunnel', host, port: port as number },
    request: readable ? { method: method ?? 'GET', path: path ?? '/' } : undefined,
    now,
  };
}

/** As far as it can be told without DNS: on the name, and on the address of a literal. */
function decide(policy: Policy, question: Question): Decision {
  const { host } = question.destination;
  const byName = decideName(policy, question);
  if (byName.effect === 'deny' || !(host instanceof Ip)) return byName;
  return decideAddress(policy, goingOn(byName, question), host, NOTHING_OWN);
}

function failure({ principal, to, decision: expected, at }: Expectation, decision: Decision) {
  const cause = decision.rule === undefined ? decision.reason : `rule ${quote(decision.rule)}`;
  const got = decision.effect === 'allow' ? 'allowed' : 'denied';
  return {
    severity: 'fault',
    at,
    message: `${quote(to)} is ${got} for ${quote(principal)}, by ${cause}, where ${expected} is expected`,
    remedy: 'correct the rules or the expectation',
  } as const;
}
