import {
  groupKills,
  type PhaseReport,
  quiet,
  reloads,
  restarts,
  type Say,
  workerKills,
} from './phases.ts';
import { unrecorded, type Verified, verify } from './record.ts';
import type { Scene } from './scene.ts';
import { type SoakReport, soak, trendTable } from './soak.ts';

/** How often each thing is done; 0: not at all. */
export interface EndurePlan {
  readonly quietMs: number;
  readonly reloads: number;
  readonly workerKills: number;
  readonly restarts: number;
  readonly groupKills: number;
  readonly soakMinutes: number;
}

export interface EndureReport {
  readonly phases: readonly PhaseReport[];
  readonly soak: SoakReport | undefined;
  /** Requests and tunnels that arrived at an upstream, and those of them that are not on record. */
  readonly seen: number;
  readonly unrecorded: readonly string[];
  readonly verified: readonly Verified[];
  /** Promises that were broken; empty: all held. */
  readonly violations: readonly string[];
}

const MOST_LISTED = 20;

/** Carries out a plan, phase by phase, and then examines the record. The gateways are stopped by it. */
export async function endure(scene: Scene, plan: EndurePlan, say: Say): Promise<EndureReport> {
  const phases: PhaseReport[] = [];
  const steps = [
    [plan.quietMs, quiet],
    [plan.reloads, reloads],
    [plan.restarts, restarts],
    [plan.workerKills, workerKills],
    [plan.groupKills, groupKills],
  ] as const;
  for (const [times, phase] of steps) {
    if (times === 0) continue;
    const report = await phase(scene, times, say);
    phases.push(report);
    say(phaseText(report));
    for (const failure of report.failures.slice(0, MOST_LISTED)) say(JSON.stringify(failure));
  }
  const soaked = plan.soakMinutes > 0 ? await soak(scene, plan.soakMinutes, say) : undefined;
  if (soaked !== undefined) say(trendTable(soaked.trends));
  await scene.load.stop();
  await Promise.all(scene.gateways.map((gateway) => gateway.drain()));

  const missing = [...(await unrecorded(scene.upstreams.seen, scene.gateways))];
  const verified = await Promise.all(
    scene.gateways.map((gateway) => verify(gateway, scene.copies(gateway), scene.key)),
  );
  const facts = { phases, soak: soaked, seen: scene.upstreams.seen.size, verified };
  const violations = violationsIn(facts, missing);
  return { ...facts, unrecorded: missing.slice(0, MOST_LISTED), violations };
}

function violationsIn(
  { phases, soak, seen, verified }: Omit<EndureReport, 'unrecorded' | 'violations'>,
  missing: readonly string[],
): string[] {
  return [
    ...phases.flatMap(({ phase, failures }) => failed(phase, failures.length)),
    ...(soak === undefined
      ? []
      : [...soak.violations, ...failed('soak', soak.taken.failures.length)]),
    ...(seen === 0 ? ['no request arrived anywhere'] : []),
    ...(missing.length > 0 ? [`${missing.length} of ${seen} requests are not on record`] : []),
    ...verified
      .filter(({ ok }) => !ok)
      .map(
        ({ gateway, problems }) =>
          `the record of ${gateway} is not whole: ${problems.length} problems`,
      ),
  ];
}

function failed(phase: string, count: number): string[] {
  return count === 0 ? [] : [`${phase}: ${count} failures that nothing explains`];
}

function phaseText({
  phase,
  times,
  seconds,
  done,
  lost,
  failures,
  slowestMs,
}: PhaseReport): string {
  const kills =
    lost === undefined ? '' : `, lost with killed processes: ${lost.inside + lost.fresh}`;
  return `${phase} (${times}) in ${seconds} s: ${done.request} requests, ${done.tunnel} tunnels, ${failures.length} failures${kills}, slowest ${slowestMs} ms`;
}
