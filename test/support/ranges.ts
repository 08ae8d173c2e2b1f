import type { RangesTargetConfig } from '../../src/config/ranges-config.ts';
import { Cidr } from '../../src/core/ip.ts';
import type { Plan } from '../../src/ranges/plan/plan.ts';
import { reconcile } from '../../src/ranges/reconcile.ts';
import type { Looking } from '../../src/ranges/targets/target.ts';
import { createTarget } from '../../src/ranges/targets/targets.ts';
import { loadText } from './config.ts';

/** What the targets here mark their own by. */
export const MARK = 'sekisho:rds';

/** Networks of a target, as text. */
export type Networks = readonly string[];

/** The target of a configuration that has this one: `securityGroups: { … }`. */
export function targetOf(yaml: string): RangesTargetConfig {
  const { config } = loadText(
    `sets: { s: { ranges: { provider: aws } } }\nranges: { targets: { rds: { set: s, ${yaml} } } }`,
  );
  return config.ranges.targets[0] as RangesTargetConfig;
}

const LOOKING: Looking = { signal: new AbortController().signal, pause: async () => undefined };

function parsed(networks: Networks): Cidr[] {
  return networks.map((text) => Cidr.parse(text) as Cidr);
}

export async function planRanges(config: RangesTargetConfig, networks: Networks) {
  const target = createTarget(config);
  try {
    const seen = await target.read(LOOKING);
    const plan = target.plan(parsed(networks), seen);
    return {
      plan,
      notes: (await target.notes?.(seen, plan, LOOKING)) ?? [],
      unsettled: target.unsettled?.(seen) ?? [],
    };
  } finally {
    target.close?.();
  }
}

export interface Applied {
  readonly plan: Plan;
  readonly waits: number;
}

/** Applies without waiting. @param begin before anything is changed */
export async function applyRanges(
  config: RangesTargetConfig,
  networks: Networks,
  begin: () => void = () => undefined,
): Promise<Applied> {
  const target = createTarget(config);
  let waits = 0;
  try {
    const plan = await reconcile(target, parsed(networks), {
      around: { now: Date.now, random: () => 0, sleep: async () => void waits++ },
      signal: LOOKING.signal,
      begin: async () => begin(),
      progress: () => undefined,
    });
    return { plan, waits };
  } finally {
    target.close?.();
  }
}

/** `count` networks that are no neighbours: `10.0.0.0/24`, `10.0.2.0/24`, … */
export function manyNetworks(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => {
    const at = 2 * (i + from);
    return `10.${at >> 8}.${at & 255}.0/24`;
  });
}
