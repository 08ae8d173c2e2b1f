/**
 * Two gateways behind HAProxy under constant load, while they are reloaded, drained, restarted and killed:
 *
 *     npm run endure -- --reloads 100 --worker-kills 100 --restarts 20 --group-kills 100 --soak 60 --rate 40
 *
 * Tells its progress on stderr and ends with a summary in JSON on stdout; exits with 1 when a promise was broken, and
 * then leaves its folder. `CONTRIBUTING.md` says what it proves. Linux only.
 */
import { constants, setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { endure } from './endure/endure-plan.ts';
import { openScene } from './endure/scene.ts';

const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '100' },
    restarts: { type: 'string', default: '20' },
    'worker-kills': { type: 'string', default: '100' },
    'group-kills': { type: 'string', default: '100' },
    soak: { type: 'string', default: '0' },
    rate: { type: 'string', default: '40' },
    workers: { type: 'string', default: '2' },
    keep: { type: 'boolean', default: false },
  },
});
const [reloads, restarts, workerKills, groupKills, soakMinutes, rate, workers] = [
  numberOf('reloads'),
  numberOf('restarts'),
  numberOf('worker-kills'),
  numberOf('group-kills'),
  numberOf('soak'),
  numberOf('rate'),
  numberOf('workers'),
];

// It runs for an hour beside other work; all that it starts inherits this.
setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
const scene = await openScene({ workers, rate, drain: { noticeMs: 2_000, limitMs: 5_000 } });
say(`two gateways at work in ${scene.dir}`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void scene.close(true).then(() => process.exit(1)));
}
let broken = true;
try {
  const plan = { quietMs: 5_000, reloads, restarts, workerKills, groupKills, soakMinutes };
  const report = await endure(scene, plan, say);
  process.stdout.write(`${JSON.stringify({ rate, workers, ...report }, null, 2)}\n`);
  for (const violation of report.violations) say(`BROKEN: ${violation}`);
  broken = report.violations.length > 0;
} finally {
  await scene.close(broken || values.keep);
  if (broken) say(`the files are in ${scene.dir}`);
}
process.exitCode = broken ? 1 : 0;

function numberOf(name: Exclude<keyof typeof values, 'keep'>): number {
  const value = Number(values[name]);
  if (!(value >= 0)) throw new Error(`--${name} takes a number`);
  return value;
}

function say(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}
