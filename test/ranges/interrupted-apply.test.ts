import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { RangesTargetConfig } from '../../src/config/ranges-config.ts';
import { aggregate } from '../../src/core/aggregate.ts';
import { Cidr, Ip } from '../../src/core/ip.ts';
import { Ec2 } from '../support/aws/ec2.ts';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { type Interruption, Interruptions } from '../support/aws/interruptions.ts';
import { ServiceQuotas } from '../support/aws/service-quotas.ts';
import { Wafv2 } from '../support/aws/wafv2.ts';
import { applyRanges, targetOf } from '../support/ranges.ts';

const MARK = 'sekisho:rds';

/** Networks among sixteen addresses, so that every address can be looked at. */
const ADDRESSES = Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`);
const network = fc
  .record({ byte: fc.nat(15), host: fc.nat(2) })
  .map(({ byte, host }) => Cidr.around(Ip.parse(`192.0.2.${byte}`) as Ip, 32 - host).text);
const networks = fc
  .uniqueArray(network, { maxLength: 8 })
  .map((list) => aggregate(list.map((text) => Cidr.parse(text) as Cidr)).map(({ text }) => text));

const situation = fc.record({
  before: fc.uniqueArray(network, { minLength: 1, maxLength: 6 }),
  foreign: fc.uniqueArray(network, { maxLength: 2 }),
  wanted: networks,
});
type Situation = typeof situation extends fc.Arbitrary<infer Value> ? Value : never;

/** One kind of target at a fake of AWS. */
interface Stage {
  readonly config: RangesTargetConfig;
  /** Puts the target into a state. */
  set(given: Situation): void;
  /** The networks that let something pass, by whomever. */
  passing(): readonly string[];
  ours(): readonly string[];
  theirs(): readonly string[];
  watch(look: () => void): void;
}

function securityGroups(ec2: Ec2): Stage {
  const groups = ec2.securityGroups;
  groups.pageSize = 3;
  for (const id of ['sg-1', 'sg-2']) groups.addGroup(id);
  const peers = (ours: boolean) =>
    groups.rules
      .filter(({ description }) => (description === MARK) === ours)
      .map(({ peer }) => peer);
  return {
    config: targetOf(
      'securityGroups: { groups: [sg-1, sg-2], protocol: tcp, port: 3306, quota: 9, region: ap-northeast-1 }',
    ),
    set({ before, foreign }) {
      groups.rules.length = 0;
      for (const [i, peer] of before.entries()) {
        groups.addRule(i < 4 ? 'sg-1' : 'sg-2', peer, { description: MARK });
      }
      for (const peer of foreign) if (!before.includes(peer)) groups.addRule('sg-1', peer);
    },
    passing: () => groups.rules.map(({ peer }) => peer),
    ours: () => peers(true),
    theirs: () => peers(false),
    watch: (look) => {
      groups.onChange = look;
    },
  };
}

function prefixLists(ec2: Ec2): Stage {
  const { prefixLists: fake } = ec2;
  fake.pageSize = 3;
  const entries = () => [...fake.lists.values()].flatMap((list) => list.entries);
  const cidrs = (ours: boolean) =>
    entries()
      .filter(({ description }) => (description === MARK) === ours)
      .map(({ cidr }) => cidr);
  return {
    config: targetOf('prefixLists: { lists: [pl-1, pl-2], maxEntries: 9, region: ap-northeast-1 }'),
    set({ before, foreign }) {
      fake.lists.clear();
      const [one, two] = ['pl-1', 'pl-2'].map((id) => fake.add(id, 'IPv4', 8));
      for (const [i, cidr] of before.entries()) {
        (i < 4 ? one : two)?.entries.push({ cidr, description: MARK });
      }
      for (const cidr of foreign) {
        if (!before.includes(cidr)) one?.entries.push({ cidr, description: undefined });
      }
    },
    passing: () => entries().map(({ cidr }) => cidr),
    ours: () => cidrs(true),
    theirs: () => cidrs(false),
    watch: (look) => {
      fake.onChange = look;
    },
  };
}

function wafIpSets(waf: Wafv2): Stage {
  const addresses = () => [...waf.sets.values()].flatMap((set) => set.addresses);
  return {
    config: targetOf('wafIpSets: { ipSets: [{ name: four, id: a4 }], region: ap-northeast-1 }'),
    set({ before }) {
      const set = waf.add('four', 'a4', 'IPV4');
      set.addresses = [...before];
      set.description = MARK;
    },
    passing: addresses,
    ours: addresses,
    theirs: () => [],
    watch: (look) => {
      waf.onChange = look;
    },
  };
}

const STAGES = { securityGroups, prefixLists, wafIpSets } as const;

async function account(t: TestContext, kind: keyof typeof STAGES) {
  const interruptions = new Interruptions();
  const ec2 = new Ec2();
  const waf = new Wafv2();
  const services = [ec2.service, waf.service, new ServiceQuotas().service];
  const aws = await startFakeAws(services.map((service) => interruptions.wrap(service)));
  t.after(aws.close);
  Object.assign(process.env, aws.env());
  const stage = kind === 'wafIpSets' ? wafIpSets(waf) : STAGES[kind](ec2);
  return { stage, interruptions };
}

const READS = /^(?:Describe|Get)/;
/** Each is some dozens of applies. */
const RUNS: Readonly<Record<keyof typeof STAGES, number>> = {
  securityGroups: 8,
  prefixLists: 6,
  wafIpSets: 12,
};

function addresses(list: readonly string[]): string[] {
  const parsed = list.map((text) => Cidr.parse(text) as Cidr);
  return ADDRESSES.filter((text) => parsed.some((one) => one.contains(Ip.parse(text) as Ip)));
}

for (const kind of Object.keys(STAGES) as (keyof typeof STAGES)[]) {
  test(`an apply to ${kind} that fails at any call cuts nothing off, and the next one completes it`, async (t) => {
    const { stage, interruptions } = await account(t, kind);
    const attempt = async (given: Situation, call: number, how: Interruption) => {
      stage.set(given);
      const before = addresses(stage.passing());
      const staying = addresses(given.wanted).filter((address) => before.includes(address));
      const theirs = stage.theirs();
      // Not thrown from here: the client of AWS would take that for a failing server, and ask again.
      const cutOff: string[] = [];
      stage.watch(() => {
        const now = addresses(stage.passing());
        cutOff.push(...staying.filter((address) => !now.includes(address)));
      });
      interruptions.begin(call, how);
      const failed = await applyRanges(stage.config, given.wanted).then(
        () => false,
        (error: unknown) => {
          assert.match(String(error), /Interrupted/);
          return true;
        },
      );
      const calls = [...interruptions.operations];
      interruptions.end();
      await applyRanges(stage.config, given.wanted);
      assert.deepEqual(cutOff, []);
      assert.deepEqual(stage.theirs(), theirs);
      assert.deepEqual(
        addresses(stage.passing()).filter((one) => !addresses(theirs).includes(one)),
        addresses(given.wanted).filter((one) => !addresses(theirs).includes(one)),
      );
      const ours = [...stage.ours()].sort();
      assert.deepEqual(ours, [...given.wanted].filter((one) => !theirs.includes(one)).sort());
      return { failed, calls };
    };
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const { calls } = await attempt(given, Number.POSITIVE_INFINITY, 'before');
        for (const [i, operation] of calls.entries()) {
          assert.ok((await attempt(given, i + 1, 'before')).failed);
          // What only reads has done nothing when its answer is lost.
          if (READS.test(operation)) continue;
          assert.ok((await attempt(given, i + 1, 'after')).failed);
        }
      }),
      { numRuns: RUNS[kind] },
    );
  });
}
