import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { GatewayProcess } from './gateway-process.ts';
import type { Taken } from './load-plan.ts';
import { measure, type Say } from './phases.ts';
import type { Scene } from './scene.ts';

const SAMPLE_MS = 15_000;
const RELOAD_EVERY = 4;
const SAY_EVERY = 20;

interface Sample {
  readonly rssMiB: number;
  readonly descriptors: number;
  /** Of the process that answers `/metrics`; undefined for others. */
  readonly heapMiB: number | undefined;
}

/** What a process used in the second and in the last fifth of the time: medians. */
export interface Trend {
  readonly process: string;
  readonly samples: number;
  readonly rssMiB: readonly [number, number];
  readonly descriptors: readonly [number, number];
  readonly heapMiB: readonly [number, number] | undefined;
  readonly isFlat: boolean;
}

export interface SoakReport {
  readonly minutes: number;
  readonly reloads: number;
  readonly taken: Taken;
  readonly trends: readonly Trend[];
  readonly violations: readonly string[];
}

/** Mixed load for some time, with a reload a minute, while memory and descriptors are watched. */
export async function soak(scene: Scene, minutes: number, say: Say): Promise<SoakReport> {
  scene.load.roughen();
  const samples = new Map<string, Sample[]>();
  const rounds = Math.max(10, Math.round((minutes * 60_000) / SAMPLE_MS));
  const begun = await Promise.all(scene.gateways.map((gateway) => gateway.processes()));
  let reloaded = 0;
  const { taken } = await measure(scene, async () => {
    for (let round = 1; round <= rounds; round++) {
      await wait((minutes * 60_000) / rounds);
      for (const gateway of scene.gateways) await sample(gateway, samples);
      if (round % SAY_EVERY === 0) say(`soak: ${round} of ${rounds} samples`);
      if (round % RELOAD_EVERY !== 0) continue;
      for (const gateway of scene.gateways) await gateway.reload('watch');
      reloaded += scene.gateways.length;
    }
  });
  const trends = [...samples].map(([process, series]) => trendOf(process, series));
  const ended = await Promise.all(scene.gateways.map((gateway) => gateway.processes()));
  const violations = trends.filter(({ isFlat }) => !isFlat).map(notFlat);
  if (String(begun) !== String(ended)) violations.push('soak: a process was replaced');
  return { minutes, reloads: reloaded, taken, trends, violations };
}

async function sample(gateway: GatewayProcess, samples: Map<string, Sample[]>): Promise<void> {
  const { workers } = await gateway.status();
  const heap = heapIn(await gateway.metrics());
  for (const pid of await gateway.processes()) {
    const worker = workers.find((candidate) => candidate.pid === pid);
    const name = `${gateway.name} ${worker === undefined ? 'primary' : `worker ${worker.number}`}`;
    const series = samples.get(name) ?? [];
    samples.set(name, series);
    series.push({
      rssMiB: await residentMiB(pid),
      descriptors: (await readdir(`/proc/${pid}/fd`)).length,
      heapMiB: pid === gateway.pid ? heap : undefined,
    });
  }
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

function heapIn(metrics: string): number | undefined {
  const bytes = /^nodejs_heap_size_used_bytes(?:\{[^}]*\})? (\S+)/m.exec(metrics)?.[1];
  return bytes === undefined ? undefined : Number(bytes) / 2 ** 20;
}

/** What a collector that takes its time, or a few connections more at one moment, may add. */
const MOST_GROWTH = 1.15;
const RSS_SLACK_MIB = 16;
const DESCRIPTOR_SLACK = 24;

function trendOf(process: string, series: readonly Sample[]): Trend {
  const rssMiB = fifths(series.map((sample) => sample.rssMiB));
  const descriptors = fifths(series.map((sample) => sample.descriptors));
  const heaps = series.map((sample) => sample.heapMiB).filter((heap) => heap !== undefined);
  const isFlat = isLevel(rssMiB, RSS_SLACK_MIB) && isLevel(descriptors, DESCRIPTOR_SLACK);
  const heapMiB = heaps.length === 0 ? undefined : fifths(heaps);
  return { process, samples: series.length, rssMiB, descriptors, heapMiB, isFlat };
}

/** The first fifth warms up; single peaks say nothing. */
function fifths(values: readonly number[]): [number, number] {
  const fifth = Math.ceil(values.length / 5);
  return [median(values.slice(fifth, 2 * fifth)), median(values.slice(-fifth))];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] as number);
}

function isLevel([before, after]: readonly [number, number], slack: number): boolean {
  return after <= Math.max(before * MOST_GROWTH, before + slack);
}

function notFlat({ process, rssMiB, descriptors }: Trend): string {
  return `soak: ${process} grew: RSS ${rssMiB.join(' -> ')} MiB, descriptors ${descriptors.join(' -> ')}`;
}

/** For whoever watches. */
export function trendTable(trends: readonly Trend[]): string {
  const row = (...cells: readonly (string | number)[]) =>
    `${String(cells[0]).padEnd(16)}${cells
      .slice(1)
      .map((cell) => String(cell).padStart(16))
      .join('')}`;
  return [
    row('process', 'RSS, MiB', 'descriptors', 'heap, MiB', 'flat'),
    ...trends.map(({ process, rssMiB, descriptors, heapMiB, isFlat }) =>
      row(
        process,
        rssMiB.join(' -> '),
        descriptors.join(' -> '),
        heapMiB?.join(' -> ') ?? '-',
        isFlat ? 'yes' : 'NO',
      ),
    ),
  ].join('\n');
}
