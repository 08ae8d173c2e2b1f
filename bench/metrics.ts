/**
 * What it costs an exchange to be counted: `node bench/metrics.ts`.
 *
 * One plain request as `exchange.ts` tells of it: the clock is read at the end of each of five steps, each is observed, and
 * its end is counted; where it dials, that too. Prints nanoseconds, the best of several rounds.
 */
import type { RecordedEnd } from '../src/audit/recorder.ts';
import { DEFAULT_SETTINGS } from '../src/core/decision.ts';
import { Hostname } from '../src/core/hostname.ts';
import { Ip } from '../src/core/ip.ts';
import { STEPS } from '../src/core/steps.ts';
import { WorkerMetrics } from '../src/metrics/worker.ts';

const EXCHANGES = 500_000;
const ROUNDS = 7;
const PRINCIPALS = 100;

const client = Ip.parse('10.0.0.5') as Ip;
const ends = Array.from(
  { length: PRINCIPALS },
  (_, i): RecordedEnd => ({
    id: '019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88',
    conversation: {
      listener: 'egress',
      client: { ip: client, port: 41234 },
      peer: client,
      action: 'GET',
      destination: { scheme: 'http', host: Hostname.parse('api.example.com'), port: 80 },
      request: { method: 'GET', path: '/' },
    },
    principal: { name: `connector-${i}`, method: 'header' },
    decision: {
      stage: 'address',
      effect: i % 10 === 0 ? 'deny' : 'allow',
      reason: i % 10 === 0 ? 'no-matching-rule' : 'rule-allow',
      mode: 'enforce',
      settings: DEFAULT_SETTINGS,
    },
    address: client,
    outcome: { status: 200, error: null, bytesUp: 100, bytesDown: 2_000 },
    durationMs: 12,
    span: undefined,
    steps: [],
  }),
);

function nanoseconds(work: (i: number) => void): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const began = performance.now();
    for (let i = 0; i < EXCHANGES; i++) work(i);
    return ((performance.now() - began) * 1e6) / EXCHANGES;
  });
  return Math.round(Math.min(...rounds));
}

const { exchanges, waysOut } = new WorkerMetrics('worker-1');
const costs = {
  'read the clock, five times': nanoseconds(() => {
    for (let i = 0; i < STEPS.length; i++) performance.now();
  }),
  'observe five steps': nanoseconds((i) => {
    for (const step of STEPS) exchanges.passed(step, i % 100);
  }),
  'observe a dial': nanoseconds((i) => waysOut.dialled('fixed', i % 100, 'connected')),
  'count the end': nanoseconds((i) => exchanges.ended(ends[i % PRINCIPALS] as RecordedEnd)),
};
const all = Object.values(costs).reduce((sum, cost) => sum + cost);
for (const [what, cost] of Object.entries({ ...costs, 'all together': all })) {
  process.stdout.write(`${what.padEnd(28)} ${String(cost).padStart(5)} ns\n`);
}
