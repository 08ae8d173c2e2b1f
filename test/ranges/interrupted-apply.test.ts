import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { aggregate } from '../../src/core/aggregate.ts';
import { Cidr, Ip } from '../../src/core/ip.ts';
import { needsNamespaces } from '../support/namespaces.ts';
import { needs } from '../support/programs.ts';
import { applyRanges } from '../support/ranges.ts';
import { fileStage } from '../support/stages/file.ts';
import { nftablesStage } from '../support/stages/nftables.ts';
import { prefixListsStage } from '../support/stages/prefix-lists.ts';
import { securityGroupsStage } from '../support/stages/security-groups.ts';
import type { Interruption, Situation, Stage } from '../support/stages/stage.ts';
import { wafIpSetsStage } from '../support/stages/waf-ip-sets.ts';

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

function addresses(list: readonly string[]): string[] {
  const parsed = list.map((text) => Cidr.parse(text) as Cidr);
  return ADDRESSES.filter((text) => parsed.some((one) => one.contains(Ip.parse(text) as Ip)));
}

interface Attempt {
  readonly stage: Stage;
  readonly given: Situation;
  readonly call: number;
  readonly how: Interruption;
  /** Whether the failure ends the apply; otherwise it goes on by itself. */
  readonly ends: boolean;
}

/** An apply that fails at one call, and the one after it. @returns what the first one called */
async function attempt({ stage, given, call, how, ends }: Attempt): Promise<readonly string[]> {
  stage.set(given);
  const before = addresses(stage.passing());
  const staying = addresses(given.wanted).filter((address) => before.includes(address));
  const theirs = stage.theirs();
  // Not thrown from there: the client of AWS would take that for a failing server, and ask again.
  const cutOff: string[] = [];
  const look = () => {
    const now = addresses(stage.passing());
    cutOff.push(...staying.filter((address) => !now.includes(address)));
  };
  stage.watch(look);
  stage.failing.begin(call, how);
  const applied = applyRanges(stage.config, given.wanted);
  if (ends) await assert.rejects(applied, { name: 'RangesError' });
  else await applied;
  const calls = [...stage.failing.operations];
  stage.failing.end();
  look();
  await applyRanges(stage.config, given.wanted);
  assert.deepEqual(cutOff, []);
  assert.deepEqual(stage.theirs(), theirs);
  const passing = (list: readonly string[]) =>
    addresses(list).filter((one) => !addresses(theirs).includes(one));
  assert.deepEqual(passing(stage.passing()), passing(given.wanted));
  const ours = [...stage.ours()].sort();
  assert.deepEqual(ours, [...given.wanted].filter((one) => !theirs.includes(one)).sort());
  return calls;
}

const UNHARMED = { call: Number.POSITIVE_INFINITY, how: 'refused', ends: false } as const;

interface Kind {
  readonly start: (t: TestContext) => Promise<Stage>;
  /** Each is some dozens of applies. */
  readonly runs: number;
  readonly skip?: string | false;
}

const KINDS: Readonly<Record<string, Kind>> = {
  securityGroups: { start: securityGroupsStage, runs: 3 },
  prefixLists: { start: prefixListsStage, runs: 2 },
  wafIpSets: { start: wafIpSetsStage, runs: 8 },
  nftables: { start: nftablesStage, runs: 2, skip: needsNamespaces() || needs('nftables') },
  file: { start: fileStage, runs: 3 },
};

for (const [kind, { start, runs, skip = false }] of Object.entries(KINDS)) {
  test(`an apply to ${kind} that fails at any call cuts nothing off, and the next one completes it`, {
    skip,
  }, async (t) => {
    const stage = await start(t);
    const refusals = fc.infiniteStream(fc.constantFrom<Interruption>('refused', 'throttled'));
    await fc.assert(
      fc.asyncProperty(situation, refusals, async (given, refusal) => {
        const calls = await attempt({ stage, given, ...UNHARMED });
        for (const [i, operation] of calls.entries()) {
          const how: Interruption = refusal.next().value;
          await attempt({ stage, given, call: i + 1, how, ends: true });
          // What only reads has done nothing when its answer is lost.
          if (stage.reads.test(operation)) continue;
          await attempt({ stage, given, call: i + 1, how: 'lost', ends: true });
        }
      }),
      { numRuns: runs },
    );
  });
}

for (const kind of ['securityGroups', 'prefixLists', 'wafIpSets'] as const) {
  test(`an apply to ${kind} whose client asks again when an answer is lost comes to its end`, async (t) => {
    const stage = await (KINDS[kind] as Kind).start(t);
    process.env.AWS_MAX_ATTEMPTS = '2';
    await fc.assert(
      fc.asyncProperty(situation, async (given) => {
        const calls = await attempt({ stage, given, ...UNHARMED });
        for (const [i, operation] of calls.entries()) {
          if (stage.reads.test(operation)) continue;
          await attempt({ stage, given, call: i + 1, how: 'lost', ends: false });
        }
      }),
      { numRuns: 2 },
    );
  });
}
