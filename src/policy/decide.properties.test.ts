import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  address,
  allow,
  deny,
  NOW,
  nothingOwn,
  owning,
  pattern,
  policyConfig,
  principal,
  question,
} from '../../test/support/policy.ts';
import type { AllowRule, DenyRule, RuleConfig } from '../config/config.ts';
import { lists, opens, specialRange } from '../core/address-class.ts';
import { type Decision, passes } from '../core/decision.ts';
import { Ip } from '../core/ip.ts';
import { networksIn } from '../core/networks.ts';
import { diff } from './diff.ts';
import { explain } from './explain.ts';
import { plainPath } from './path.ts';
import {
  compile,
  decideAddress,
  decideAddresses,
  decideName,
  type PolicyConfig,
  type Question,
} from './policy.ts';
import { findRuleProblems } from './problems.ts';

/*
 * The same rules read once more, as plainly as they can be: every rule, every pattern, one after the other.
 */

const GROUPS: Record<string, string[]> = { team: ['p', 'inner'], inner: ['fn-*', 'job-{name}'] };
const SETS: Record<string, string[]> = {
  hosts: ['a.x.example', '.y.example'],
  nets: ['8.8.0.0/16', '10.0.5.0/24'],
};
const OWN = owning(['54.0.0.1', '10.0.5.9'], ['54.0.0.1:443']);

function isMember(group: string, q: Question): boolean {
  const { name, template } = q.principal ?? {};
  return (GROUPS[group] ?? []).some(
    (member) =>
      member === name ||
      member === template ||
      (member === 'fn-*' && name?.startsWith('fn-')) ||
      (member in GROUPS && isMember(member, q)),
  );
}

function isNamed(names: readonly string[], q: Question, wildcard: boolean): boolean {
  return names.some((name) => {
    if (name === '*') return wildcard || q.principal !== undefined;
    if (name === 'anonymous') return q.principal === undefined;
    return name in GROUPS
      ? isMember(name, q)
      : name === q.principal?.name || name === q.principal?.template;
  });
}

/** How specifically a pattern matches, as a list to compare from the left; undefined: not at all. */
type Order = readonly number[];

function matchHost(text: string, q: Question, ips: readonly Ip[], isDeny: boolean): Match[] {
  const { host } = q.destination;
  if (text in SETS) {
    const inside = (SETS[text] ?? []).flatMap((entry) => matchHost(entry, q, ips, isDeny));
    return inside.map(({ order, network }) => ({ order: [1, ...order.slice(1)], network }));
  }
  const p = pattern(text);
  if (p.kind === 'any') return isDeny || !(host instanceof Ip) ? [{ order: [0, 0, 0] }] : [];
  if (p.kind === 'network') {
    if (!ips.some((ip) => lists(p.cidr, ip))) return [];
    const bits = p.cidr.base.family === 4 ? p.cidr.bits + 96 : p.cidr.bits + 0.5;
    return [{ order: [2, 1, bits], network: p.cidr.toString() }];
  }
  if (host instanceof Ip) return [];
  if (p.kind === 'host') return p.host.name === host.name ? [{ order: [2, 3, 0] }] : [];
  if (p.kind === 'set') return [];
  const labels = p.suffix.name.split('.');
  const asked = host.name.split('.');
  const same = asked.slice(-labels.length).join('.') === labels.join('.');
  const deep = asked.length > labels.length || (p.apex && asked.length === labels.length);
  return same && deep ? [{ order: [2, 2, labels.length] }] : [];
}

interface Match {
  readonly order: Order;
  readonly network?: string | undefined;
}

/** `*` and `**` one character at a time, trying every way. */
function matchGlob(glob: string, path: string): boolean {
  if (glob === '') return path === '';
  if (glob.startsWith('**')) {
    return matchGlob(glob.slice(2), path) || (path !== '' && matchGlob(glob, path.slice(1)));
  }
  if (glob.startsWith('*')) {
    const more = path !== '' && path[0] !== '/';
    return matchGlob(glob.slice(1), path) || (more && matchGlob(glob, path.slice(1)));
  }
  return glob[0] === path[0] && matchGlob(glob.slice(1), path.slice(1));
}

function matchConditions(rule: RuleConfig, q: Question): Order | undefined {
  const fewness = rule.methods === undefined ? -1000 : -rule.methods.length;
  const lengths = (rule.paths ?? []).map((path) => path.length);
  if (rule.methods === undefined && rule.paths === undefined) return [0, -1000];
  if (q.request === undefined) {
    const later = rule.effect === 'allow' && rule.tls === 'required';
    const tunnel80 = q.destination.scheme === 'tunnel' && q.destination.port === 80;
    return later && tunnel80 ? [Math.max(0, ...lengths), fewness] : undefined;
  }
  const { method, path } = q.request;
  if (rule.methods && !rule.methods.includes(method)) return undefined;
  if (rule.paths === undefined) return [0, fewness];
  const plain = plainPath(path);
  if (plain === undefined) {
    return rule.effect === 'deny' ? [Math.max(0, ...lengths), fewness] : undefined;
  }
  const fitting = rule.paths.filter((glob) => matchGlob(glob, plain)).map((glob) => glob.length);
  return fitting.length === 0 ? undefined : [Math.max(...fitting), fewness];
}

function matchPort(rule: RuleConfig, q: Question): boolean {
  const { scheme, port } = q.destination;
  if (rule.ports) return rule.ports.some(({ first, last }) => port >= first && port <= last);
  if (rule.effect === 'deny') return true;
  if (scheme === 'http') return port === 80 || port === 443;
  return port === 443 || (port === 80 && rule.tls === 'required');
}

interface Candidate<R> {
  readonly rule: R;
  readonly order: Order;
  readonly network: string | undefined;
}

function candidates<R extends RuleConfig>(rules: readonly R[], q: Question, ip: Ip | undefined) {
  const found: Candidate<R>[] = [];
  for (const rule of rules) {
    const isDeny = rule.effect === 'deny';
    if (!isNamed(rule.principals, q, isDeny)) continue;
    if (rule.effect === 'deny' && isNamed(rule.except, q, false)) continue;
    if (rule.expiresMs !== undefined && q.now > rule.expiresMs) continue;
    const conditions = matchConditions(rule, q);
    if (!matchPort(rule, q) || conditions === undefined) continue;
    const { host } = q.destination;
    const literal = host instanceof Ip ? [host] : [];
    const ips = isDeny && ip !== undefined ? [ip] : literal;
    for (const to of WRITTEN.get(rule) ?? []) {
      for (const { order, network } of matchHost(to, q, ips, isDeny)) {
        found.push({ rule, order: [...order, ...conditions], network });
      }
    }
  }
  return found.sort(
    (a, b) => compareOrder(b.order, a.order) || (a.rule.name < b.rule.name ? -1 : 1),
  );
}

function compareOrder(a: Order, b: Order): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function isPermitted({ rule, network }: Candidate<AllowRule>, ip: Ip): boolean {
  const range = specialRange(ip);
  const own = OWN.isOwn(ip) || (ip.inner !== undefined && OWN.isOwn(ip.inner));
  const addresses = rule.addresses && networksIn(rule.addresses, new Map());
  if (addresses && !addresses.some((cidr) => lists(cidr, ip))) return false;
  if (range === undefined && !own) return true;
  const entries = [...(addresses ?? [])];
  const to = network === undefined ? undefined : pattern(network);
  if (to?.kind === 'network') entries.push(to.cidr);
  return entries.some((cidr) =>
    own || range === undefined ? cidr.exact && lists(cidr, ip) : opens(cidr, ip, range),
  );
}

function settingsOf(rule: AllowRule): string {
  return [rule.via, rule.tls, rule.addresses?.map(String).sort() ?? 'public'].join(' ');
}

/** `effect reason mode rule` */
function reference(config: PolicyConfig, q: Question, ip?: Ip): string {
  const report =
    config.enforcement === 'report' ||
    config.principals.some(
      (p) => p.report && (p.name === q.principal?.name || p.name === q.principal?.template),
    );
  const inner = ip?.inner;
  const { port } = q.destination;
  if (ip && (OWN.isListener(ip, port) || (inner && OWN.isListener(inner, port))))
    return 'deny loop enforce -';
  const denies = candidates(
    config.rules.filter((rule): rule is DenyRule => rule.effect === 'deny'),
    q,
    ip,
  );
  const enforcing = denies.find(({ rule }) => !rule.report);
  const denied = (enforcing ?? denies[0])?.rule;
  if (enforcing && !report) return `deny rule-deny enforce ${enforcing.rule.name}`;
  const byName = candidates(
    config.rules.filter((rule): rule is AllowRule => rule.effect === 'allow'),
    q,
    ip,
  );
  const fitting = ip === undefined ? byName : byName.filter((c) => isPermitted(c, ip));
  const [best] = fitting;
  if (best === undefined) {
    if (ip && byName[0]) return `deny address-forbidden enforce ${byName[0].rule.name}`;
    const isOwn = ip && (OWN.isOwn(ip) || (inner && OWN.isOwn(inner)));
    if (ip && report && (isOwn || specialRange(ip))) return 'deny address-forbidden enforce -';
    if (report)
      return `deny ${denied ? 'rule-deny' : 'no-matching-rule'} report ${denied?.name ?? '-'}`;
    return `deny ${q.principal ? 'no-matching-rule' : 'no-identity'} enforce -`;
  }
  const later = q.request === undefined;
  const tied = fitting.some(
    ({ rule, order }) =>
      compareOrder(order, best.order) === 0 &&
      settingsOf(rule) !== settingsOf(best.rule) &&
      !(later && (rule.methods || rule.paths)),
  );
  if (tied) return `deny policy-ambiguous enforce ${best.rule.name}`;
  if (denied) return `deny rule-deny report ${denied.name}`;
  return `allow rule-allow enforce ${best.rule.name}`;
}

function told(decision: Decision): string {
  return `${decision.effect} ${decision.reason} ${decision.mode} ${decision.rule ?? '-'}`;
}

/*
 * Small worlds, where rules meet often.
 */

const WRITTEN = new WeakMap<RuleConfig, readonly string[]>();

const some = <T>(values: readonly T[], maxLength = 2) =>
  fc.subarray([...values], { minLength: 1, maxLength });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const TO = [
  ...['*', 'a.x.example', 'b.x.example', '.x.example', '*.x.example', '.example', '*.y.example'],
  ...[
    '8.8.8.8',
    '8.8.8.0/24',
    '8.0.0.0/8',
    '0.0.0.0/0',
    '10.0.5.0/24',
    '64:ff9b::/96',
    'hosts',
    'nets',
  ],
];
const NETWORKS = ['0.0.0.0/0', '8.8.8.0/24', '10.0.5.0/24', '10.0.5.9', '10.0.0.0/8', '54.0.0.1'];
const WHO = ['*', 'anonymous', 'p', 'q', 'team', 'inner', 'job-{name}', 'job-a'];

const common = {
  to: some(TO, 3),
  ports: maybe(some<number | readonly [number, number]>([80, 443, [8000, 8080]])),
  methods: maybe(some(['GET', 'POST'])),
  paths: maybe(some(['/a/**', '/a/*', '/a/b', '/**', '/*/b/**'])),
  expiresMs: maybe(fc.constantFrom(NOW - 1, NOW)),
};
const defined = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

const allows = fc
  .record({
    ...common,
    allow: some(WHO),
    addresses: maybe(some(NETWORKS)),
    tls: fc.constantFrom('required' as const, 'off' as const),
    via: maybe(fc.constantFrom('x', 'y')),
  })
  .map((written) => remember(allow(defined(written)), written.to));
const denies = fc
  .record({
    ...common,
    deny: some(WHO),
    except: fc.subarray(WHO, { maxLength: 1 }),
    report: fc.boolean(),
  })
  .map((written) => remember(deny(defined(written)), written.to));

function remember<R extends RuleConfig>(rule: R, to: readonly string[]): R {
  WRITTEN.set(rule, to);
  return rule;
}

function named<R extends RuleConfig>(rule: R, name: string): R {
  return remember({ ...rule, name }, WRITTEN.get(rule) ?? []);
}

const rules = fc
  .array(fc.oneof({ weight: 3, arbitrary: allows }, { weight: 1, arbitrary: denies }), {
    maxLength: 12,
  })
  .map((list) => list.map((rule, i) => named<RuleConfig>(rule, `rule-${i}`)));

const questions = fc
  .record({
    by: fc.constantFrom(
      null,
      'p',
      'q',
      'fn-a',
      'team',
      principal('job-a', 'job-{name}'),
      principal('p', 'job-{name}'),
    ),
    host: fc.constantFrom(
      'a.x.example',
      'b.x.example',
      'x.example',
      'y.example',
      'c.y.example',
      'other.test',
      '8.8.8.8',
      '10.0.5.9',
      '54.0.0.1',
      '[64:ff9b::808:808]',
    ),
    port: fc.constantFrom(80, 443, 8080),
    scheme: fc.constantFrom('tunnel' as const, 'http' as const),
    request: fc.constantFrom(
      undefined,
      'GET /a/b',
      'POST /a/b/c',
      'GET /a/../b',
      'GET /c/b/',
      'PUT /%61/b',
    ),
  })
  .map(({ by, host, port, scheme, request }) =>
    question({ by, to: `${host}:${port}`, scheme, ...(request && { request }) }),
  );
// Asked as listeners ask: requests in a tunnel are read only where they are plain http, and nobody else is declared here.
const realQuestions = questions.filter(
  ({ principal: who, destination, request }) =>
    (who === undefined || who.name === 'q' || (who.name === 'p' && !who.template)) &&
    (destination.scheme === 'http') === (request !== undefined),
);
const ips = fc
  .constantFrom(
    '8.8.8.8',
    '1.1.1.1',
    '10.0.5.7',
    '10.0.5.9',
    '54.0.0.1',
    '64:ff9b::a00:509',
    '127.0.0.1',
  )
  .map(address);

function worldOf(
  list: readonly RuleConfig[],
  enforcement: 'enforce' | 'report' = 'enforce',
  report = false,
) {
  const principals = ['p', { name: 'q', report }, { name: 'job-{name}', report }];
  return policyConfig(list, { principals, groups: GROUPS, sets: SETS, enforcement });
}

/** What would be dialled, without the gateway's own machine deciding anything for itself. */
function decideAll(config: PolicyConfig, q: Question, list: readonly Ip[]): Decision {
  const policy = compile(config);
  const byName = decideName(policy, q);
  const { host } = q.destination;
  return passes(byName)
    ? decideAddresses(policy, q, host instanceof Ip ? [host] : list, OWN).decision
    : byName;
}

const RUNS = { numRuns: 1000 };

describe('whatever the rules', () => {
  it('the compiled policy decides as a plain reading of them', () => {
    const modes = fc.constantFrom('enforce' as const, 'report' as const);
    fc.assert(
      fc.property(rules, questions, ips, modes, fc.boolean(), (list, q, resolved, mode, report) => {
        const config = worldOf(list, mode, report);
        const policy = compile(config);
        const { host } = q.destination;
        const ip = host instanceof Ip ? host : resolved;
        assert.equal(told(decideName(policy, q)), reference(config, q));
        assert.equal(told(decideAddress(policy, q, ip, OWN)), reference(config, q, ip));
      }),
      RUNS,
    );
  });

  it('an explanation tells the rules apart that match', () => {
    fc.assert(
      fc.property(rules, questions, (list, q) => {
        const { rules: told } = explain(compile(worldOf(list)), q);
        const ip = q.destination.host instanceof Ip ? q.destination.host : undefined;
        const expected = new Set(candidates(list, q, ip).map(({ rule }) => rule.name));
        const found = told.filter(({ matches }) => matches).map(({ rule }) => rule);
        assert.deepEqual(new Set(found), expected);
      }),
      RUNS,
    );
  });

  it('two policies that answer a question differently have a difference', () => {
    const unconditional = rules.map((list) =>
      list.map((rule) => {
        const plain: RuleConfig = { ...rule, methods: undefined, paths: undefined };
        return remember(plain, WRITTEN.get(rule) ?? []);
      }),
    );
    fc.assert(
      fc.property(unconditional, unconditional, realQuestions, (before, after, q) => {
        const { host } = q.destination;
        const ip = host instanceof Ip ? host : address('1.1.1.1');
        const [one, other] = [worldOf(before), worldOf(after)];
        const answers = [one, other].map((config) => {
          const policy = compile(config);
          return passes(decideName(policy, q)) && passes(decideAddress(policy, q, ip, nothingOwn));
        });
        if (answers[0] !== answers[1]) assert.notDeepEqual(diff(one, other, q.now), []);
      }),
      { numRuns: 200 },
    );
  });

  it('a question that ends in a tie is found beforehand', () => {
    fc.assert(
      fc.property(rules, realQuestions, (list, q) => {
        const config = worldOf(list);
        if (decideName(compile(config), q).reason !== 'policy-ambiguous') return;
        const faults = findRuleProblems(config, q.now).filter(
          ({ severity }) => severity === 'fault',
        );
        assert.ok(faults.some(({ message }) => message.includes('equally specific')));
      }),
      RUNS,
    );
  });

  it('a rule that is said to change nothing, or never to match, can go', () => {
    const all = fc.array(ips, { maxLength: 3 });
    fc.assert(
      fc.property(rules, realQuestions, all, (list, q, resolved) => {
        const config = worldOf(list);
        const [problem] = findRuleProblems(config, q.now).filter(
          ({ severity }) => severity === 'warning',
        );
        const rule = /^the rule "(.*?)"/.exec(problem?.message ?? '')?.[1];
        if (rule === undefined) return;
        const without = worldOf(list.filter(({ name }) => name !== rule));
        const [before, after] = [config, without].map((each) => decideAll(each, q, resolved));
        assert.equal(after?.effect, before?.effect, rule);
        assert.deepEqual(after?.settings, before?.settings, rule);
      }),
      RUNS,
    );
  });

  it('their order does not matter', () => {
    fc.assert(
      fc.property(
        rules,
        questions,
        fc.array(ips, { maxLength: 3 }),
        fc.infiniteStream(fc.nat()),
        (list, q, all, keys) => {
          const shuffled = list
            .map((rule) => ({ rule, key: keys.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ rule }) => rule);
          assert.deepEqual(decideAll(worldOf(shuffled), q, all), decideAll(worldOf(list), q, all));
        },
      ),
      RUNS,
    );
  });

  it('one more deny never allows more', () => {
    fc.assert(
      fc.property(
        rules,
        denies,
        questions,
        fc.array(ips, { maxLength: 3 }),
        (list, more, q, all) => {
          const before = decideAll(worldOf(list), q, all);
          const after = decideAll(worldOf([...list, named(more, 'more')]), q, all);
          assert.ok(passes(before) || !passes(after), `${told(before)} became ${told(after)}`);
        },
      ),
      RUNS,
    );
  });

  it('one more allow never denies more, unless it ties with different settings', () => {
    fc.assert(
      fc.property(
        rules,
        allows,
        questions,
        fc.array(ips, { maxLength: 3 }),
        (list, more, q, all) => {
          const before = decideAll(worldOf(list), q, all);
          const after = decideAll(worldOf([...list, named(more, 'more')]), q, all);
          const tied = after.reason === 'policy-ambiguous';
          assert.ok(
            !passes(before) || passes(after) || tied,
            `${told(before)} became ${told(after)}`,
          );
        },
      ),
      RUNS,
    );
  });

  it('report mode passes nothing but what no rule matches or a rule denies', () => {
    fc.assert(
      fc.property(rules, questions, ips, (list, q, resolved) => {
        const { host } = q.destination;
        const ip = host instanceof Ip ? host : resolved;
        const config = worldOf(list, 'report');
        const decision = decideAddress(compile(config), q, ip, OWN);
        if (decision.mode !== 'report') return;
        assert.match(decision.reason, /^(?:no-matching-rule|rule-deny)$/);
        const enforced = decideAddress(
          compile(worldOf(list.filter((r) => r.effect === 'allow'))),
          q,
          ip,
          OWN,
        );
        if (!passes(enforced)) assert.equal(specialRange(ip) ?? OWN.isOwn(ip), false);
      }),
      RUNS,
    );
  });
});
