import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { startMariaDb } from '../support/mariadb.ts';
import { Namespace, needsNamespaces } from '../support/namespaces.ts';
import { needs } from '../support/programs.ts';
import { applyRanges, manyNetworks, planRanges, targetOf } from '../support/ranges.ts';
import { ROOT } from '../support/sources.ts';

const skip = needsNamespaces() || needs('nftables', 'mariadb-server');

const RULESET = `table inet filter {
  set rds4 { type ipv4_addr; flags interval; }
  set rds6 { type ipv6_addr; flags interval; }
  chain input {
    type filter hook input priority 0; policy accept;
    ct state established,related accept
    tcp dport 3306 ip saddr @rds4 accept
    tcp dport 3306 ip6 saddr @rds6 accept
    tcp dport 3306 reject with tcp reset
  }
}
`;

/** A namespace with a packet filter, and \`nft\` on the PATH that works there and can be made to fail. */
function filter(t: TestContext) {
  const namespace = new Namespace('filter');
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-nft-'));
  const at = (file: string) => join(dir, file);
  const nft = execFileSync('sh', ['-c', 'command -v nft'], { encoding: 'utf8' }).trim();
  for (const file of ['calls', 'before', 'after']) writeFileSync(at(file), '0');
  writeFileSync(
    at('nft'),
    `#!/bin/sh
n=$(($(cat ${at('calls')}) + 1)); echo $n > ${at('calls')}
[ $n = "$(cat ${at('before')})" ] && { echo broken >&2; exit 1; }
ip netns exec ${namespace.name} ${nft} "$@" || exit
[ $n = "$(cat ${at('after')})" ] && { echo broken >&2; exit 1; }
exit 0
`,
  );
  chmodSync(at('nft'), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${dir}:${path}`;
  t.after(async () => {
    process.env.PATH = path;
    await namespace.stop();
    rmSync(dir, { recursive: true });
  });
  const rules = (text: string) =>
    execFileSync('ip', ['netns', 'exec', namespace.name, nft, '-f', '-'], { input: text });
  const elements = (set: string) => {
    const args = ['netns', 'exec', namespace.name, nft, 'list', 'set', 'inet', 'filter', set];
    const listed = execFileSync('ip', args, { encoding: 'utf8' });
    const [, inside = ''] = /elements = \{([^}]*)\}/.exec(listed) ?? [];
    return inside
      .split(',')
      .map((one) => one.trim().replace(/\s+/g, ' '))
      .filter(Boolean);
  };
  const fail = (how: 'before' | 'after', call: number) => {
    writeFileSync(at('calls'), '0');
    writeFileSync(at('before'), how === 'before' ? String(call) : '0');
    writeFileSync(at('after'), how === 'after' ? String(call) : '0');
  };
  const calls = () => Number(readFileSync(at('calls'), 'utf8'));
  rules(RULESET);
  return { namespace, rules, elements, fail, calls };
}

const target = (more = 'ipv4: rds4, ipv6: rds6') =>
  targetOf(`nftables: { table: filter, ${more} }`);
const marked = (...networks: string[]) => networks.map((one) => `${one} comment "sekisho:rds"`);

test('sets of nftables hold what is wanted, and a second apply changes nothing', {
  skip,
}, async (t) => {
  const { elements, calls, fail } = filter(t);
  await applyRanges(target(), ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32']);
  assert.deepEqual(elements('rds4'), marked('10.0.0.0/8', '192.0.2.7'));
  assert.deepEqual(elements('rds6'), marked('2001:db8::/32'));
  fail('before', 0);
  await applyRanges(target(), ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32']);
  assert.equal(calls(), 4);
  await applyRanges(target(), ['10.0.0.0/9', '10.128.0.0/10']);
  assert.deepEqual(
    [elements('rds4'), elements('rds6')],
    [marked('10.0.0.0/9', '10.128.0.0/10'), []],
  );
});

test('a set takes thousands of networks in one transaction', { skip }, async (t) => {
  const { elements } = filter(t);
  await applyRanges(target(), manyNetworks(5000));
  assert.equal(elements('rds4').length, 5000);
});

test('elements of others stay, and serve where they let a wanted network pass', {
  skip,
}, async (t) => {
  const { elements, rules } = filter(t);
  rules('add element inet filter rds4 { 10.1.0.0/16 comment "office", 192.0.2.0/28 }');
  await applyRanges(target(), ['10.1.2.0/24', '198.51.100.0/24']);
  assert.deepEqual(elements('rds4'), [
    '10.1.0.0/16 comment "office"',
    '192.0.2.0/28',
    ...marked('198.51.100.0/24'),
  ]);
  await assert.rejects(applyRanges(target(), ['10.0.0.0/8']), {
    code: 'ranges-conflict',
    message: /10\.1\.0\.0\/16 of somebody else in inet filter rds4 lies inside/,
  });
});

test('a set that is not there, of another type or merging is told', { skip }, async (t) => {
  const { rules } = filter(t);
  rules('add set inet filter merging { type ipv4_addr; flags interval; auto-merge; }');
  await assert.rejects(planRanges(target('ipv4: none'), []), {
    code: 'ranges-unavailable',
    message: /nft .* failed/,
  });
  await assert.rejects(planRanges(target('ipv4: rds6'), []), {
    message: /is not of type ipv4_addr/,
  });
  await assert.rejects(planRanges(target('ipv4: merging'), []), { message: /no auto-merge/ });
});

test('an apply that fails at any call of nft leaves all or nothing, and the next one completes it', {
  skip,
}, async (t) => {
  const { elements, fail, calls } = filter(t);
  const [before, wanted] = [
    ['10.0.0.0/8', '192.0.2.0/24'],
    ['10.0.0.0/9', '198.51.100.0/24'],
  ];
  await applyRanges(target('ipv4: rds4'), before);
  fail('before', 0);
  await applyRanges(target('ipv4: rds4'), wanted);
  const total = calls();
  for (let call = 1; call <= total; call++) {
    for (const how of ['before', 'after'] as const) {
      fail(how, 0);
      await applyRanges(target('ipv4: rds4'), before);
      fail(how, call);
      await assert.rejects(applyRanges(target('ipv4: rds4'), wanted), { message: /broken/ });
      const now = elements('rds4').join();
      assert.ok([marked(...before).join(), marked(...wanted).join()].includes(now), now);
      fail(how, 0);
      await applyRanges(target('ipv4: rds4'), wanted);
      assert.deepEqual(elements('rds4'), marked(...wanted));
    }
  }
});

test('a MariaDB is reached by clients in an allowed range and by no others, before, during and after applies under load', {
  skip,
}, async (t) => {
  const { namespace } = filter(t);
  const clients = new Namespace('clients');
  t.after(() => clients.stop());
  clients.connect(namespace, ['10.7.0.1/16', '10.7.200.1/16'], ['10.7.0.2/16']);
  const database = await startMariaDb(namespace);
  t.after(() => database.remove());
  const reaches = async (address: string) => {
    clients.ip('route', 'replace', '10.7.0.2/32', 'dev', 'cable', 'src', address);
    const query = ['-h10.7.0.2', '-uapp', '--connect-timeout=5', '-e', 'SELECT 1'];
    return (await clients.run('mariadb', '--no-defaults', ...query)).code === 0;
  };
  assert.deepEqual([await reaches('10.7.0.1'), await reaches('10.7.200.1')], [false, false]);
  await applyRanges(target(), ['10.7.0.0/24']);
  assert.deepEqual([await reaches('10.7.0.1'), await reaches('10.7.200.1')], [true, false]);
  const load = clients.spawn(
    process.execPath,
    join(ROOT, 'test/support/connection-load.ts'),
    '10.7.0.1',
    '10.7.0.2',
    '3306',
  );
  const lines = createInterface({ input: load.stdout as NodeJS.ReadableStream })[
    Symbol.asyncIterator
  ]();
  assert.equal((await lines.next()).value, 'begun');
  // The range that lets the load pass is another network each time.
  for (let i = 0; i < 40; i++) {
    const own = ['10.7.0.0/24', '10.7.0.0/25', '10.7.0.0/17', '10.7.0.1/32'][i % 4] as string;
    const others = Array.from({ length: 200 }, (_, n) => `172.${16 + (i % 8)}.${n}.0/25`);
    await applyRanges(target(), [own, ...others]);
    if (i % 20 === 2) assert.equal(await reaches('10.7.200.1'), false);
  }
  await applyRanges(target(), ['10.7.0.0/24', '10.7.200.0/24']);
  assert.deepEqual([await reaches('10.7.0.1'), await reaches('10.7.200.1')], [true, true]);
  load.kill('SIGTERM');
  const { value } = await lines.next();
  const told = JSON.parse(value as string) as { greeted: number; failed: string[] };
  assert.deepEqual(told.failed, []);
  assert.ok(told.greeted > 100, `${told.greeted} connections`);
  t.diagnostic(`${told.greeted} connections during 41 applies, none refused`);
  await applyRanges(target(), ['10.7.200.0/24']);
  assert.deepEqual([await reaches('10.7.0.1'), await reaches('10.7.200.1')], [false, true]);
  if (load.exitCode === null) await once(load, 'exit');
});
