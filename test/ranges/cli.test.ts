import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ec2Ranges } from '../support/ip-ranges.ts';
import { publish } from '../support/list-server.ts';
import { manyNetworks } from '../support/ranges.ts';
import { sekishoHere, watchHere, workplace } from '../support/ranges-cli.ts';

const OLD = manyNetworks(3);
const NEW = [...manyNetworks(2), '10.9.0.0/25', '10.9.0.128/25', '2001:DB8::/32'];

test('a set is shown: whose it is, how many addresses, and whether one lies in it', async (t) => {
  const { lists, ranges } = await workplace(t);
  lists.answer = publish(ec2Ranges(NEW));
  const shown = await ranges('show', 'tokyo-ec2');
  assert.match(
    shown.out,
    /^tokyo-ec2 {2}4 networks \(5 published\), 768 IPv4 addresses, 4,294,967,296 IPv6 networks of 64 bits\n {2}AWS: EC2, ap-northeast-1: every customer there can send from these addresses\n/,
  );
  assert.match(shown.out, /\n10\.0\.0\.0\/24\n10\.0\.2\.0\/24\n10\.9\.0\.0\/24\n2001:db8::\/32\n$/);
  assert.equal(shown.code, 0);
  const inside = await ranges('show', 'tokyo-ec2', '--contains', '10.9.0.200');
  assert.match(inside.out, /10\.9\.0\.200 lies in 10\.9\.0\.0\/24\n$/);
  const outside = await ranges('show', 'tokyo-ec2', '--contains', '192.0.2.1', '--json');
  assert.deepEqual(JSON.parse(outside.out).contains, { address: '192.0.2.1', network: null });
  assert.equal(outside.code, 1);
  const unknown = await ranges('show', 'tokyo');
  assert.deepEqual(
    [unknown.code, unknown.err.split('\n')[0]],
    [2, 'error: no set is called "tokyo"; there are tokyo-ec2'],
  );
});

test('a plan reads like a diff, an apply does it, and after it there is nothing to do', async (t) => {
  const { lists, groups, ranges } = await workplace(t);
  lists.answer = publish(ec2Ranges(OLD));
  groups.addRule('sg-1', '192.0.2.0/24', { description: 'office' });
  groups.addRule('sg-1', '10.9.0.0/16', { from: 0, to: 65535 });
  assert.equal((await ranges('apply')).code, 0);
  lists.answer = publish(ec2Ranges(NEW, '1769904001'));
  const planned = await ranges('plan', '--exit-code');
  assert.equal(
    planned.out.slice(planned.out.indexOf('rds-tokyo')),
    `rds-tokyo  security groups sg-1 in ap-northeast-1, tcp:3306
  + 10.9.0.0/24          tcp:3306  sg-1
  + 2001:db8::/32        tcp:3306  sg-1
  - 10.0.4.0/24          tcp:3306  sg-1
  · 10.9.0.0/24 passes by 10.9.0.0/16 of somebody else in sg-1, and ours stands beside it
    sg-1: IPv4 5 of 60
    sg-1: IPv6 0 → 1 of 60
    rules of others let the same ports be reached from 10.9.0.0/16 tcp:0-65535 in sg-1, 192.0.2.0/24 tcp:3306 in sg-1
  ! tokyo-ec2: an address proves nothing here: what is reached has to ask for a login that does (IAM, certificate), over TLS
  2 to add, 1 to remove, 2 stay

1 target, 1 to change, 2 to add, 0 to move, 1 to remove
`,
  );
  assert.equal(planned.code, 2);
  const applied = await ranges('apply');
  assert.deepEqual([applied.out, applied.code], ['rds-tokyo  2 added, 1 removed, 2 stay\n', 0]);
  const again = await ranges('apply', '--json');
  assert.deepEqual(JSON.parse(again.out).targets, [
    {
      target: 'rds-tokyo',
      kind: 'securityGroups',
      added: 0,
      moved: 0,
      removed: 0,
      kept: 4,
      problems: [],
    },
  ]);
  const after = await ranges('plan', '--exit-code', '--json');
  assert.equal(JSON.parse(after.out).targets[0].pending, false);
  assert.equal(after.code, 0);
});

test('where it is known whether databases take an IAM login, a plan says so in place of the general warning', async (t) => {
  const { lists, ranges, rds } = await workplace(t);
  lists.answer = publish(ec2Ranges(OLD));
  const orders = { id: 'orders', engine: 'mysql', groups: ['sg-1'] };
  const told = async () => {
    const { out } = await ranges('plan');
    return out.split('\n').filter((line) => /login/.test(line));
  };
  rds.instances.push({ ...orders, iamLogin: true });
  assert.deepEqual(await told(), ['    behind these groups, with an IAM login: orders (mysql)']);
  rds.instances[0] = { ...orders, iamLogin: false };
  assert.deepEqual(await told(), [
    '  ! behind these groups, without an IAM login: orders (mysql); whoever is at one of the addresses and knows a password is in',
  ]);
});

test('an apply is on record before it begins and when it is over, in a record that verifies', async (t) => {
  const { dir, lists, ranges } = await workplace(t);
  const record = join(dir, 'var/audit');
  const audit = (command: string, ...args: readonly string[]) =>
    sekishoHere(t, ['audit', command, '--dir', record, ...args]);
  lists.answer = publish(ec2Ranges(OLD));
  await ranges('apply');
  const found = await audit('search', '--json', '--type', 'ranges');
  const events = found.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ stage }) => stage).sort(), ['applied', 'plan']);
  const plan = events.find(({ stage }) => stage === 'plan');
  assert.deepEqual(
    plan.add,
    OLD.map((network) => `sg-1 ${network} tcp:3306`),
  );
  assert.deepEqual([plan.target, plan.tokens], ['rds-tokyo', { 'tokyo-ec2': '1769904000' }]);
  const lines = await audit('search');
  assert.match(lines.out, /ranges rds-tokyo: 3 added, 0 moved, 0 removed/);
  assert.equal((await audit('verify')).code, 0);
  const segments = await readdir(record);
  await ranges('apply');
  assert.deepEqual(await readdir(record), segments);
});

test('an apply that cannot be put on record changes nothing', async (t) => {
  const { dir, lists, groups, ranges } = await workplace(t);
  lists.answer = publish(ec2Ranges(OLD));
  await mkdir(join(dir, 'var'));
  await writeFile(join(dir, 'var/audit'), 'no folder');
  const { code, err } = await ranges('apply');
  assert.match(err, /the audit record cannot be written/);
  assert.deepEqual([code, groups.rules.length], [1, 0]);
});

test('a list that is refused leaves its last good copy, exits 1, and is taken when that is accepted', async (t) => {
  const { lists, groups, ranges } = await workplace(t);
  lists.answer = publish(ec2Ranges(manyNetworks(10)));
  await ranges('apply');
  lists.answer = publish(ec2Ranges(manyNetworks(2)));
  const refused = await ranges('apply');
  assert.match(
    refused.out,
    /nothing to change, 10 stay\n {2}! the list of .* is refused: it has 2 networks/,
  );
  assert.deepEqual([refused.code, groups.rules.length], [1, 10]);
  const planned = await ranges('plan');
  assert.match(planned.out, /the last good copy stands/);
  assert.equal(planned.code, 1);
  assert.equal((await ranges('apply', '--accept-shrink')).code, 0);
  assert.equal(groups.rules.length, 2);
});

test('one target that fails does not keep the others', async (t) => {
  const { dir, lists, ranges } = await workplace(
    t,
    `    missing:
      set: tokyo-ec2
      securityGroups: { groups: [sg-9], protocol: tcp, port: 1, region: ap-northeast-1 }
    list:
      set: tokyo-ec2
      file: { path: list, format: plain }
`,
  );
  lists.answer = publish(ec2Ranges(OLD));
  const applied = await ranges('apply');
  assert.match(applied.out, /missing {2}! missing: sg-9: InvalidGroup\.NotFound/);
  assert.equal(applied.code, 1);
  assert.match(await readFile(join(dir, 'list'), 'utf8'), /\n10\.0\.4\.0\/24\n$/);
  assert.equal((await ranges('apply', '--target', 'list')).code, 0);
});

test('the rights that are printed are the least, for each role', async (t) => {
  const { ranges } = await workplace(
    t,
    `    other:
      set: tokyo-ec2
      prefixLists: { lists: [pl-1], region: us-east-1, assumeRole: "arn:aws:iam::210987654321:role/r" }
`,
  );
  const { out } = await ranges('policy', '--json');
  const rights = JSON.parse(out) as {
    role?: string;
    policy: { Statement: { Sid: string; Action: string[]; Resource: string[] }[] };
  }[];
  assert.deepEqual(
    rights.map(({ role, policy }) => [role, policy.Statement.map(({ Sid }) => Sid)]),
    [
      [
        undefined,
        ['ReadSecurityGroups', 'ReadDatabases', 'ReadQuota', 'ChangeSecurityGroups', 'AssumeRoles'],
      ],
      ['arn:aws:iam::210987654321:role/r', ['ReadPrefixLists', 'ChangePrefixLists']],
    ],
  );
  const ofFunction = await ranges('policy', '--json', '--function', 'f', '--target', 'other');
  assert.deepEqual(
    JSON.parse(ofFunction.out)[1].policy.Statement.map((one: { Sid: string }) => one.Sid),
    ['WriteLog', 'AssumeRoles'],
  );
  assert.deepEqual(rights[0]?.policy.Statement[3]?.Resource, [
    'arn:aws:ec2:ap-northeast-1:*:security-group/sg-1',
    'arn:aws:ec2:ap-northeast-1:*:security-group-rule/*',
  ]);
});

test('an apply on a terminal tells how far it is, on a line that goes away', async (t) => {
  const { config, lists, groups } = await workplace(t);
  lists.answer = publish(ec2Ranges(manyNetworks(150)));
  groups.quota = 150;
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace('port: 3306', 'port: 3306, quota: 150'));
  const { err } = await sekishoHere(t, ['ranges', 'apply', '-c', config], true);
  const line = '\r\u001b[K';
  assert.equal(err, `${line}rds-tokyo: 100 of 150${line}rds-tokyo: 150 of 150${line}`);
});

test('a watch looks again by its schedule, and applies what changed', async (t) => {
  const { config, lists, groups } = await workplace(t);
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace('every: 1h', 'every: 1s, jitter: 0s'));
  lists.answer = publish(ec2Ranges(OLD));
  const logged = watchHere(t, config);
  await logged(({ msg }) => msg === 'applied');
  lists.answer = publish(ec2Ranges(NEW, '1769904001'));
  await logged(({ msg }) => msg === 'applied');
  assert.deepEqual(groups.rules.map(({ peer }) => peer).sort(), [
    '10.0.0.0/24',
    '10.0.2.0/24',
    '10.9.0.0/24',
    '2001:db8::/32',
  ]);
});

test('a watch whose target never was right is not ready', async (t) => {
  const { config, lists } = await workplace(t);
  lists.answer = (_request, response) => response.writeHead(404).end();
  const logged = watchHere(t, config);
  const { bind } = await logged((facts) => facts.bind !== undefined);
  await logged(({ code }) => code === 'ranges-unavailable');
  const ready = await fetch(`http://${bind}/readyz`);
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { status: 'not ready', failing: ['target rds-tokyo'] });
});

test('a watch is ready no more once its list was not seen for too long, though the copy is applied, and recovers', async (t) => {
  const { config, lists } = await workplace(t);
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace('every: 1h', 'every: 1s, jitter: 0s, maxAge: 1s'));
  lists.answer = publish(ec2Ranges(OLD));
  const logged = watchHere(t, config);
  const { bind } = await logged((facts) => facts.bind !== undefined);
  await logged(({ msg }) => msg === 'applied');
  lists.answer = (_request, response) => response.writeHead(404).end();
  const ready = async () => {
    const answer = await fetch(`http://${bind}/readyz`);
    const { failing = [] } = (await answer.json()) as { failing?: string[] };
    return { status: answer.status, failing };
  };
  let last = await ready();
  while (last.status === 200) {
    await logged(({ code }) => code === 'ranges-unavailable');
    last = await ready();
  }
  assert.ok(last.failing.includes('list of tokyo-ec2'), String(last.failing));
  lists.answer = publish(ec2Ranges(NEW, '1769904001'));
  await logged(({ msg }) => msg === 'applied');
  // It is so within each round, and may be over again on a machine that is busy enough.
  while (last.status !== 200) last = await ready();
});
