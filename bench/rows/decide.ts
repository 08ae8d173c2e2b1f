import type { AllowRule, PrincipalConfig } from '../../src/config/config.ts';
import { passes } from '../../src/core/decision.ts';
import { Hostname } from '../../src/core/hostname.ts';
import {
  compile,
  decideName,
  type Policy,
  type PolicyConfig,
  type Question,
} from '../../src/policy/policy.ts';
import { type Contestant, type Row, ratio } from './row.ts';

const SIZES = [10, 100, 1_000, 10_000, 100_000];
const PRINCIPALS = 100;
const DECISIONS = 400_000;
/** So many hosts are asked for in turn: what a busy gateway meets, and more than the caches of a CPU keep. */
const [FEW_HOSTS, MANY_HOSTS] = [64, 4_096];

const at = { file: 'bench.yaml', line: 1, column: 1 };

function allow(i: number): AllowRule {
  const host = Hostname.parse(`api-${i}.service-${i % 1000}.example.com`);
  return {
    effect: 'allow',
    name: `rule-${i}`,
    principals: i % 10 === 0 ? ['functions'] : [`fn-${i % PRINCIPALS}`],
    to: [i % 5 === 0 ? { kind: 'suffix', suffix: host, apex: true } : { kind: 'host', host }],
    ports: undefined,
    methods: undefined,
    paths: undefined,
    expiresMs: undefined,
    owner: undefined,
    addresses: undefined,
    tls: 'required',
    via: undefined,
    with: undefined,
    intercept: false,
    at,
  };
}

function policyOf(size: number): PolicyConfig {
  const principals = Array.from(
    { length: PRINCIPALS },
    (_, i): PrincipalConfig => ({
      name: `fn-${i}`,
      owner: undefined,
      report: false,
      identify: [],
      at,
    }),
  );
  return {
    principals,
    groups: new Map([['functions', ['fn-*']]]),
    sets: new Map(),
    rules: Array.from({ length: size }, (_, i) => allow(i)),
    enforcement: 'enforce',
    exits: [],
  };
}

function questionsOf(size: number, hosts: number): Question[] {
  return Array.from({ length: hosts }, (_, n) => {
    const i = (n * 7919) % size;
    const known = n % 2 === 0 ? '' : 'x';
    return {
      principal: { name: `fn-${i % PRINCIPALS}`, method: 'header' },
      destination: {
        scheme: 'tunnel',
        host: Hostname.parse(`${known}api-${i}.service-${i % 1000}.example.com`),
        port: 443,
      },
      request: undefined,
      now: 0,
    };
  });
}

/** With the CPU time that it took this thread, in milliseconds: others may have the core meanwhile. */
function timed<T>(work: () => T): readonly [T, number] {
  const began = process.threadCpuUsage();
  const done = work();
  const { user, system } = process.threadCpuUsage(began);
  return [done, (user + system) / 1000];
}

/** How many pass. */
function ask(policy: Policy, questions: readonly Question[]): number {
  let passing = 0;
  for (let n = 0; n < DECISIONS; n++) {
    if (passes(decideName(policy, questions[n % questions.length] as Question))) passing++;
  }
  return passing;
}

function contestant(size: number): Contestant {
  return {
    name: nameOf(size),
    async enter() {
      const config = policyOf(size);
      const [few, many] = [questionsOf(size, FEW_HOSTS), questionsOf(size, MANY_HOSTS)];
      ask(compile(config), many);
      return {
        async round() {
          const [policy, compiled] = timed(() => compile(config));
          const [, asked] = timed(() => ask(policy, many));
          const [, askedFew] = timed(() => ask(policy, few));
          const [each, eachFew] = [asked, askedFew].map((ms) => (ms * 1000) / DECISIONS);
          return { each: each as number, few: eachFew as number, compiled };
        },
        leave: async () => {},
      };
    },
  };
}

function nameOf(size: number): string {
  return `${size} rules`;
}

const [least, most] = [nameOf(Math.min(...SIZES)), nameOf(Math.max(...SIZES))];

export const decide: Row = {
  name: 'decide',
  title: 'Deciding on a name: half is allowed, half matches nothing',
  columns: [
    { key: 'each', title: `µs, ${MANY_HOSTS} hosts`, digits: 2 },
    { key: 'few', title: `µs, ${FEW_HOSTS} hosts`, digits: 2 },
    { key: 'compiled', title: 'compiled in ms', digits: 1 },
  ],
  targets: [
    { title: `a decision by ${most}, µs`, atMost: 2, values: (series) => series(most, 'each') },
    {
      title: `the same, against ${least}`,
      atMost: 1.5,
      values: (series) => ratio(series, least, most, 'each'),
    },
    {
      title: `the same, for ${FEW_HOSTS} hosts`,
      atMost: 1.5,
      values: (series) => ratio(series, least, most, 'few'),
    },
    { title: `compiling ${most}, ms`, atMost: 1000, values: (series) => series(most, 'compiled') },
  ],
  notes: [
    'So many hosts are asked for in turn, all of them equally often. The steps are the same for any number of rules: what 4,096 hosts among 100,000 rules take more is waiting for memory that the caches do not keep.',
  ],
  contestants: () => SIZES.map(contestant),
};
