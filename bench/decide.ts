/**
 * What a decision costs, and that it does not grow with the policy: `node bench/decide.ts`.
 *
 * Half of the questions are allowed and half match nothing; hosts, callers and ports vary.
 */
import type { AllowRule, PrincipalConfig } from '../src/config/config.ts';
import { Hostname } from '../src/core/hostname.ts';
import { compile, decideName, type PolicyConfig, type Question } from '../src/policy/policy.ts';

const PRINCIPALS = 100;
const ROUNDS = 400_000;

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

for (const size of [10, 1_000, 100_000]) {
  const config = policyOf(size);
  const started = performance.now();
  const policy = compile(config);
  const compiled = performance.now() - started;
  const questions = questionsOf(size);
  let allowed = 0;
  const ask = (rounds: number) => {
    for (let n = 0; n < rounds; n++) {
      const question = questions[n % questions.length] as Question;
      if (decideName(policy, question).effect === 'allow') allowed++;
    }
  };
  ask(ROUNDS / 4);
  const begun = performance.now();
  ask(ROUNDS);
  const each = ((performance.now() - begun) * 1000) / ROUNDS;
  console.log(
    `${String(size).padStart(7)} rules: ${each.toFixed(2)} µs a decision, compiled in ${compiled.toFixed(0)} ms` +
      ` (${Math.round((100 * allowed) / (ROUNDS * 1.25))} % allowed)`,
  );
}
