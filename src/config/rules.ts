import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { RuleConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { type Names, parseName, RESERVED } from './names.ts';
import { networkList } from './networks.ts';
import { parseDestination } from './patterns.ts';
import { ALWAYS, choice, line, list, notYet, parsed, says, section } from './shape.ts';
import { parseLastDay, port } from './units.ts';

/** @throws Fault */
function parseCaller(text: string, names: Names): string {
  if (RESERVED.has(text)) return text;
  if (!text.includes('*')) return names.usePrincipal(text);
  throw new Fault(
    `${quote(text)} is a glob, which a rule cannot hold`,
    'make a group of it and name the group',
  );
}

/** @throws Fault */
function parseException(text: string, names: Names): string {
  if (text !== '*') return parseCaller(text, names);
  throw new Fault('"*" in except would make the rule void', 'name principals or groups');
}

/** RFC 9110 9.1: methods are case-sensitive, and all that are registered are in capitals. @throws Fault */
export function parseMethod(text: string): string {
  if (/^[A-Z][A-Z0-9_-]*$/.test(text)) return text;
  throw new Fault(`${quote(text)} is not a method`, 'write it in capitals: GET');
}

/** @throws Fault */
function parsePathGlob(text: string): string {
  if (/^\/[\x21-\x7e]*$/.test(text) && !/[?#]/.test(text)) return text;
  throw new Fault(
    `${quote(text)} is not a path`,
    'begin with "/", as it is sent (percent-encoded), without query',
  );
}

function ruleSchema(names: Names) {
  const callers = list(parsed((text) => parseCaller(text, names)));
  return section({
    name: parsed(parseName),
    owner: line.optional(),
    allow: callers.optional(),
    deny: callers.optional(),
    except: list(parsed((text) => parseException(text, names))).optional(),
    // An empty allow is closed, and `check` says that it never matches.
    to: z.array(parsed((text) => parseDestination(text, names))),
    ports: list(port).optional(),
    methods: list(parsed(parseMethod)).optional(),
    paths: list(parsed(parsePathGlob)).optional(),
    expires: parsed(parseLastDay, 'The last day, UTC: 2027-03-31.').optional(),
    addresses: networkList(names).optional(),
    tls: choice(['required', 'off']).optional(),
    via: parsed((text) => names.useExit(text)).optional(),
    report: z.boolean().optional(),
    with: parsed((text) => names.useCredential(text)).optional(),
    intercept: z.boolean().optional(),
    users: notYet('users'),
    databases: notYet('databases'),
  }).superRefine((rule, context) => {
    for (const { path, message } of effectFaults(rule)) {
      context.addIssue({ code: 'custom', path, message, params: { part: 'key' } });
    }
  }, ALWAYS);
}

const ONLY_ALLOW = ['addresses', 'tls', 'via', 'with', 'intercept'] as const;
const ONLY_DENY = ['except', 'report'] as const;

function effectFaults(
  rule: Readonly<Record<string, unknown>>,
): { path: string[]; message: string }[] {
  const allows = rule.allow !== undefined;
  if (allows === (rule.deny !== undefined)) {
    const message = allows
      ? 'a rule cannot both allow and deny'
      : 'the rule neither allows nor denies';
    return [{ path: [], message: says(message, 'write allow: [ … ] or deny: [ … ]') }];
  }
  if (!allows && Array.isArray(rule.to) && rule.to.length === 0) {
    return [
      {
        path: ['to'],
        message: says('a deny of nothing denies nothing', 'give it an entry, or remove the rule'),
      },
    ];
  }
  if (rule.intercept === true && rule.tls === 'off') {
    const message = says('raw bytes have no TLS that could be opened', 'remove one of the two');
    return [{ path: ['intercept'], message }];
  }
  const effect = allows ? 'an allow' : 'a deny';
  const remedy = `remove it, or make this ${allows ? 'a deny' : 'an allow'}`;
  return (allows ? ONLY_DENY : ONLY_ALLOW)
    .filter((key) => rule[key] !== undefined)
    .map((key) => ({
      path: [key],
      message: says(`${quote(key)} has no meaning in ${effect}`, remedy),
    }));
}

export function rulesSchema(names: Names) {
  return z.array(ruleSchema(names)).prefault([]);
}

export function toRules(
  written: z.output<ReturnType<typeof rulesSchema>>,
  merged: Merged,
): RuleConfig[] {
  return written.map((rule, i) => {
    const path = ['rules', i];
    const base = {
      name: rule.name,
      to: rule.to,
      ports: rule.ports,
      methods: rule.methods,
      paths: rule.paths,
      expiresMs: rule.expires,
      owner: rule.owner ?? merged.fileOwner(path),
      at: merged.at(path),
    };
    if (rule.allow !== undefined) {
      const { addresses, tls = 'required', via, with: credential, intercept = false } = rule;
      const settings = { addresses, tls, via, with: credential, intercept };
      return { ...base, effect: 'allow', principals: rule.allow, ...settings };
    }
    const { deny = [], except = [], report = false } = rule;
    return { ...base, effect: 'deny', principals: deny, except, report };
  });
}
