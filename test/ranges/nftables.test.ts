import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { startMariaDb } from '../support/mariadb.ts';
import { Namespace, needsNamespaces } from '../support/namespaces.ts';
import { packetFilter } from '../support/packet-filter.ts';
import { needs } from '../support/programs.ts';
import { applyRanges, manyNetworks, planRanges, targetOf } from '../support/ranges.ts';
import { ROOT } from '../support/sources.ts';

const skip = needsNamespaces() || needs('nftables', 'mariadb-server');

const target = (more = 'ipv4: rds4, ipv6: rds6') =>
  targetOf(`nftables: { table: filter, ${more} }`);
const marked = (...networks: string[]) => networks.map((one) => `${one} comment "sekisho:rds"`);

test('sets of nftables hold what is wanted, and a second apply changes nothing', {
  skip,
}, async (t) => {
  const { elements, calls, fail } = packetFilter(t);
  await applyRanges(target(), ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32']);
  assert.deepEqual(elements('rds4'), marked('10.0.0.0/8', '192.0.2.7'));
  assert.deepEqual(elements('rds6'), marked('2001:db8::/32'));
  fail('before', 0);
  await applyRanges(target(), ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32']);
  assert.equal(calls().length, 4);
  await applyRanges(target(), ['10.0.0.0/9', '10.128.0.0/10']);
  assert.deepEqual(
    [elements('rds4'), elements('rds6')],
    [marked('10.0.0.0/9', '10.128.0.0/10'), []],
  );
});

test('a set takes thousands of networks in one transaction', { skip }, async (t) => {
  const { elements } = packetFilter(t);
  await applyRanges(target(), manyNetworks(5000));
  assert.equal(elements('rds4').length, 5000);
});

test('elements of others stay, and serve where they let a wanted network pass', {
  skip,
}, async (t) => {
  const { elements, rules } = packetFilter(t);
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
  const { rules } = packetFilter(t);
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

test('a MariaDB is reached by clients in an allowed range and by no others, before, during and after applies under load', {
  skip,
}, async (t) => {
  const { namespace } = packetFilter(t);
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
  for (let i = 0; i < 12; i++) {
    const own = ['10.7.0.0/24', '10.7.0.0/25', '10.7.0.0/17', '10.7.0.1/32'][i % 4] as string;
    const others = Array.from({ length: 200 }, (_, n) => `172.${16 + (i % 8)}.${n}.0/25`);
    await applyRanges(target(), [own, ...others]);
    if (i % 6 === 2) assert.equal(await reaches('10.7.200.1'), false);
  }
  await applyRanges(target(), ['10.7.0.0/24', '10.7.200.0/24']);
  assert.deepEqual([await reaches('10.7.0.1'), await reaches('10.7.200.1')], [true, true]);
  load.kill('SIGTERM');
  const { value } = await lines.next();
  const told = JSON.parse(value as string) as { greeted: number; failed: string[] };
  assert.deepEqual(told.failed, []);
  assert.ok(told.greeted > 100, `${told.greeted} connections`);
  t.diagnostic(`${told.greeted} connections during 13 applies, none refused`);
  await applyRanges(target(), ['10.7.200.0/24']);
  assert.deepEqual([await reaches('10.7.0.1'), await reaches('10.7.200.1')], [false, true]);
  if (load.exitCode === null) await once(load, 'exit');
});
