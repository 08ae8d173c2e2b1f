import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { run } from '../support/clients.ts';
import { ec2Ranges } from '../support/ip-ranges.ts';
import { publish } from '../support/list-server.ts';
import { needs } from '../support/programs.ts';
import { manyNetworks } from '../support/ranges.ts';
import { finished, sekishoHere, workplace } from '../support/ranges-cli.ts';
import { ROOT } from '../support/sources.ts';

const OLD = manyNetworks(3);
const NEW = [...OLD.slice(1), '10.9.0.0/24'];

/** What is held when the signal comes: its call is carried out, and nobody hears of it. */
const ENDS = [
  ['SIGINT', 'RevokeSecurityGroupIngress'],
  ['SIGTERM', 'AuthorizeSecurityGroupIngress'],
  ['SIGKILL', 'AuthorizeSecurityGroupIngress'],
  ['SIGKILL', 'RevokeSecurityGroupIngress'],
] as const;

for (const [signal, operation] of ENDS) {
  test(`while an apply runs a second one stops; ended by ${signal} in ${operation}, the next one completes it`, async (t) => {
    const { dir, lists, aws, groups, ranges, start } = await workplace(t);
    lists.answer = publish(ec2Ranges(OLD));
    await ranges('apply');
    lists.answer = publish(ec2Ranges(NEW, '1769904001'));
    const cutOff: string[] = [];
    groups.onChange = () => {
      cutOff.push(...OLD.slice(1).filter((one) => !groups.rules.some(({ peer }) => peer === one)));
    };
    const held = aws.disturbances.hold(operation);
    const child = start('ranges', 'apply');
    const first = finished(child);
    await held;
    const second = await ranges('apply');
    assert.match(second.err, /another apply is under way here .*, and this one stops/);
    assert.equal(second.code, 1);
    child.kill(signal);
    const { code, err } = await first;
    if (signal === 'SIGKILL') assert.equal(code, null);
    else {
      assert.match(err, /interrupted: .* the next apply goes on/);
      assert.equal(code, 1);
    }
    aws.disturbances.release();
    assert.equal((await ranges('apply')).code, 0);
    const audit = (command: string, ...args: readonly string[]) =>
      sekishoHere(t, ['audit', command, '--dir', join(dir, 'var/audit'), ...args]);
    const recorded = (await audit('search', '--type', 'ranges')).out;
    assert.equal(/rds-tokyo: interrupted/.test(recorded), signal !== 'SIGKILL');
    assert.equal((await audit('verify')).code, 0);
    assert.deepEqual(groups.rules.map(({ peer }) => peer).sort(), [...NEW].sort());
    assert.deepEqual(cutOff, []);
  });
}

test('an apply that is left to itself ends, whatever a second one did', async (t) => {
  const { lists, aws, groups, ranges, start } = await workplace(t);
  lists.answer = publish(ec2Ranges(OLD));
  const held = aws.disturbances.hold('AuthorizeSecurityGroupIngress');
  const first = finished(start('ranges', 'apply'));
  await held;
  assert.equal((await ranges('apply')).code, 1);
  aws.disturbances.release();
  const { code, out } = await first;
  assert.deepEqual([code, out], [0, 'rds-tokyo  3 added, 0 removed, 0 stay\n']);
  assert.equal(groups.rules.length, 3);
});

test('a watch applies, is ready once that is done, counts, and ends by SIGTERM', async (t) => {
  const { lists, groups, start } = await workplace(t);
  lists.answer = publish(ec2Ranges(OLD));
  const child = start('ranges', 'watch');
  const log = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  let bind = '';
  for await (const line of log) {
    const facts = JSON.parse(line) as { msg: string; bind?: string };
    bind = facts.bind ?? bind;
    if (facts.msg === 'applied') break;
  }
  assert.equal(groups.rules.length, 3);
  const ready = await fetch(`http://${bind}/readyz`);
  assert.equal(ready.status, 200);
  const metrics = await (await fetch(`http://${bind}/metrics`)).text();
  assert.match(metrics, /^sekisho_ranges_entries\{target="rds-tokyo"\} 3$/m);
  assert.match(metrics, /^sekisho_ranges_changes_total\{target="rds-tokyo"\} 3$/m);
  assert.match(metrics, /^sekisho_ranges_failures_total\{target="rds-tokyo"\} 0$/m);
  assert.match(metrics, /^sekisho_ranges_list_token\{set="tokyo-ec2"\} 1769904000$/m);
  assert.match(metrics, /^sekisho_ranges_list_timestamp_seconds\{set="tokyo-ec2"\} \d/m);
  const end = finished(child);
  child.kill('SIGTERM');
  assert.equal((await end).code, 0);
});

test('a plan is in colours on a terminal, and only there', {
  skip: needs('bsdutils'),
}, async (t) => {
  const { lists, config, aws, ranges } = await workplace(t);
  lists.answer = publish(ec2Ranges(OLD));
  const command = `'${process.execPath}' '${ROOT}/bin/sekisho.js' ranges plan -c '${config}'`;
  const env = { ...aws.env(), PATH: process.env.PATH ?? '', TERM: 'xterm' };
  const { stdout } = await run('script', ['-qec', command, '/dev/null'], { env });
  assert.match(stdout, /\u001b\[32m {2}\+ 10\.0\.0\.0\/24 {10}tcp:3306 {2}sg-1\u001b\[39m/);
  assert.doesNotMatch((await ranges('plan')).out, /\u001b/);
});
