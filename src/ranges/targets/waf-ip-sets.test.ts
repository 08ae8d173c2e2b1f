import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startFakeAws } from '../../../test/support/aws/fake-aws.ts';
import { Wafv2 } from '../../../test/support/aws/wafv2.ts';
import { applyRanges, manyNetworks, planRanges, targetOf } from '../../../test/support/ranges.ts';

async function account(t: TestContext) {
  const waf = new Wafv2();
  const aws = await startFakeAws([waf.service]);
  t.after(aws.close);
  Object.assign(process.env, aws.env());
  const target = (sets: string, more = 'region: ap-northeast-1') =>
    targetOf(`wafIpSets: { ipSets: [${sets}], ${more} }`);
  return { aws, waf, target };
}

const FOUR = '{ name: four, id: a4 }';
const SIX = '{ name: six, id: a6 }';

test('a set is replaced in one stroke, for each family', async (t) => {
  const { aws, waf, target } = await account(t);
  const four = waf.add('four', 'a4', 'IPV4');
  const six = waf.add('six', 'a6', 'IPV6');
  const config = target(`${FOUR}, ${SIX}`);
  await applyRanges(config, [...manyNetworks(30), '2001:DB8::/48']);
  assert.deepEqual([...four.addresses].sort(), manyNetworks(30).sort());
  assert.deepEqual(six.addresses, ['2001:db8::/48']);
  assert.equal(four.description, 'sekisho:rds');
  await applyRanges(config, [...manyNetworks(30), '2001:db8::/48']);
  assert.equal(aws.count('UpdateIPSet'), 2);
  await applyRanges(config, manyNetworks(30, 10));
  assert.equal(aws.count('UpdateIPSet'), 4);
  assert.deepEqual([four.addresses.length, six.addresses.length], [30, 0]);
});

test('10,000 entries fit, one more does not', async (t) => {
  const { aws, waf, target } = await account(t);
  waf.add('four', 'a4', 'IPV4');
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => `10.${i >> 15}.${(i >> 7) & 255}.${2 * (i & 127)}/32`);
  await applyRanges(target(FOUR), many(10_000));
  await assert.rejects(applyRanges(target(FOUR), many(10_001)), { code: 'ranges-no-room' });
  assert.equal(aws.count('UpdateIPSet'), 1);
});

test('a change by somebody else in between is read again', async (t) => {
  const { aws, waf, target } = await account(t);
  const set = waf.add('four', 'a4', 'IPV4');
  await applyRanges(target(FOUR), ['10.0.0.0/24'], () => {
    set.lockToken = 'another';
  });
  assert.deepEqual(set.addresses, ['10.0.0.0/24']);
  assert.equal(aws.count('UpdateIPSet'), 2);
});

test('a set with addresses of somebody else is left alone until it is handed over', async (t) => {
  const { aws, waf, target } = await account(t);
  const set = waf.add('four', 'a4', 'IPV4');
  set.addresses = ['192.0.2.0/24'];
  await assert.rejects(applyRanges(target(FOUR), ['10.0.0.0/24']), {
    code: 'ranges-conflict',
    message: /give it the description sekisho:rds/,
  });
  assert.equal(aws.count('UpdateIPSet'), 0);
  set.description = 'sekisho:rds';
  await applyRanges(target(FOUR), ['10.0.0.0/24']);
  assert.deepEqual(set.addresses, ['10.0.0.0/24']);
});

test('what WAF never takes is refused before it is asked', async (t) => {
  const { waf, target } = await account(t);
  waf.add('four', 'a4', 'IPV4');
  waf.add('five', 'a5', 'IPV4');
  await assert.rejects(planRanges(target(FOUR), ['0.0.0.0/0']), {
    message: /write its two halves/,
  });
  await assert.rejects(planRanges(target(`${FOUR}, { name: five, id: a5 }`), []), {
    message: /two of its IP sets are for IPv4/,
  });
  await assert.rejects(applyRanges(target(FOUR), ['2001:db8::/32']), { code: 'ranges-no-room' });
});

test('sets of CloudFront are in us-east-1', async (t) => {
  const { waf, target } = await account(t);
  const set = waf.add('four', 'a4', 'IPV4', 'CLOUDFRONT');
  await applyRanges(target(FOUR, 'scope: CLOUDFRONT, region: us-east-1'), ['10.0.0.0/24']);
  assert.deepEqual(set.addresses, ['10.0.0.0/24']);
});
