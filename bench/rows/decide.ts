import type { AllowRule, PrincipalConfig } from '../../src/config/config.ts';
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

function questionsOf(size: number): Question[] {
  return Array.from({ length: 4096 }, (_, n) => {
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

/** Milliseconds of CPU and wall alike: nothing waits. */
function timed<T>(work: () => T): readonly [T, number] {
  const began = performance.now();
  const done = work();
  return [done, performance.now() - began];
}

function contestant(size: number): Contestant {
  return {
    name: nameOf(size),
    async enter() {
      const config = policyOf(size);
      const questions = questionsOf(size);
      const ask = (policy: Policy) => {
        for (let n = 0; n < DECISIONS; n++) {
          decideName(policy, questions[n % questions.length] as Question);
        }
      };
      ask(compile(config));
      return {
        async round() {
          const [policy, compiled] = timed(() => compile(config));
          const [, asked] = timed(() => ask(policy));
          return { each: (asked * 1000) / DECISIONS, compiled };
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
    { key: 'each', title: 'µs/decision', digits: 2 },
    { key: 'compiled', title: 'compiled in ms', digits: 1 },
  ],
  targets: [
    { title: `a decision by ${most}, µs`, atMost: 2, values: (series) => series(most, 'each') },
    {
      title: `a decision by ${most}, against ${least}`,
      atMost: 1.5,
      values: (series) => ratio(series, least, most, 'each'),
    },
    { title: `compiling ${most}, ms`, atMost: 1000, values: (series) => series(most, 'compiled') },
  ],
  contestants: () => SIZES.map(contestant),
};
