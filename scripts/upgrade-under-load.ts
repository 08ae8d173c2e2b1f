/**
 * Upgrades two gateways under load from one installed version to another, several times there and back:
 *
 *     node scripts/upgrade-under-load.ts --from /opt/sekisho/0.1.0 --to /opt/sekisho/0.2.0 --rounds 10
 *
 * Prints what each round saw, and ends with 1 where a request failed or a record is not whole. Needs HAProxy.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { upgradeUnderLoad } from '../test/support/rolling-upgrade.ts';

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    to: { type: 'string' },
    rounds: { type: 'string', default: '10' },
    clients: { type: 'string', default: '32' },
    requests: { type: 'string', default: '5000' },
  },
});
const versions = [values.from, values.to].map((folder) => {
  if (folder === undefined) throw new Error('--from and --to take folders with the package');
  return resolve(folder);
});
const requests = Number(values.requests);
const work = mkdtempSync(join(tmpdir(), 'sekisho-upgrade-'));
for (let round = 0; round < Number(values.rounds); round++) {
  const dir = join(work, String(round));
  mkdirSync(dir);
  const { tally, records, outcomes } = await upgradeUnderLoad({
    dir,
    from: versions[round % 2] as string,
    to: versions[1 - (round % 2)] as string,
    clients: Number(values.clients),
    pauseMs: 2,
    between: { requests, tunnels: Math.ceil(requests / 20) },
  });
  const { failures, ...passed } = tally;
  const recorded = outcomes.reduce((sum, count) => sum + count);
  const whole = records.every(({ code }) => code === 0);
  const summary = { round, ...passed, failed: failures.length, recorded, whole };
  process.stdout.write(`${JSON.stringify(summary)}\n`);
  if (failures.length === 0 && whole) continue;
  process.exitCode = 1;
  for (const text of [...new Set(failures), ...records.map(({ text }) => text)])
    process.stdout.write(`${text}\n`);
}
rmSync(work, { recursive: true });
