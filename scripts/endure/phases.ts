import { type Attributed, attribute, type Kill, NOTICED_MS } from './attribution.ts';
import type { GatewayProcess, Worker } from './gateway-process.ts';
import type { Failure, Kind, Taken } from './load-plan.ts';
import { poll } from './poll.ts';
import type { Scene } from './scene.ts';

export interface PhaseReport {
  readonly phase: string;
  /** How often the thing was done that the phase is about. */
  readonly times: number;
  readonly seconds: number;
  readonly done: Readonly<Record<Kind, number>>;
  readonly slowestMs: number;
  /** Long tunnels that a drain ended at its limit, as it says it does. */
  readonly endedByDrain: number;
  /** Where processes were killed: what was lost with them. */
  readonly lost?: Omit<Attributed, 'unexplained'>;
  /** What broke a promise. */
  readonly failures: readonly Failure[];
}

export type Say = (line: string) => void;
type Step = (gateway: GatewayProcess, time: number) => Promise<void>;

/** Nothing happens but the load. */
export async function quiet(scene: Scene, ms: number): Promise<PhaseReport> {
  const { taken, seconds } = await measure(
    scene,
    () => new Promise((done) => setTimeout(done, ms)),
  );
  return report('quiet', 1, taken, seconds, { failures: taken.failures });
}

/** Another policy, in turns noticed and told, on each gateway in turn. */
export async function reloads(scene: Scene, times: number, say: Say): Promise<PhaseReport> {
  const step: Step = async (gateway, time) => gateway.reload(time % 4 < 2 ? 'watch' : 'signal');
  const { taken, seconds } = await measure(scene, () => repeat(scene, times, 'reload', say, step));
  return report('reloads', times, taken, seconds, { failures: taken.failures });
}

/** Each gateway in turn is drained and started anew. */
export async function restarts(scene: Scene, times: number, say: Say): Promise<PhaseReport> {
  const { balancer, drain } = scene;
  const limits: { readonly fromMs: number; readonly toMs: number }[] = [];
  const step: Step = async (gateway) => {
    const fromMs = Date.now() + drain.noticeMs + drain.limitMs;
    await gateway.drain();
    limits.push({ fromMs, toMs: Date.now() + NOTICED_MS });
    await gateway.start();
    await balancer.up(gateway.name);
  };
  const { taken, seconds } = await measure(scene, () => repeat(scene, times, 'restart', say, step));
  const isEndOfDrain = ({ kind, failedMs }: Failure) =>
    kind === 'long tunnel' &&
    limits.some(({ fromMs, toMs }) => failedMs >= fromMs && failedMs <= toMs);
  const failures = taken.failures.filter((failure) => !isEndOfDrain(failure));
  const endedByDrain = taken.failures.length - failures.length;
  return report('restarts', times, taken, seconds, { failures, endedByDrain });
}

/** SIGKILL to a worker; its gateway replaces it. */
export async function workerKills(scene: Scene, times: number, say: Say): Promise<PhaseReport> {
  return killing(scene, 'worker kills', times, say, async (gateway, kills) => {
    const victim = await oldestWorker(gateway, kills.length < scene.gateways.length);
    const { number, pid } = victim;
    const kill = { pids: [pid], timeMs: Date.now(), replacedMs: Number.POSITIVE_INFINITY };
    kills.push(kill);
    process.kill(pid, 'SIGKILL');
    await poll(`worker ${number} of ${gateway.name} to be replaced`, async () => {
      const now = (await gateway.status()).workers.find((worker) => worker.number === number);
      return now?.state === 'accepting' && now.pid !== pid;
    });
    kill.replacedMs = Date.now();
  });
}

/** One that dies younger is taken for one that dies of its start, and replaced ever later. */
const GROWN_MS = 10_500;

/** @param isFirst whether its gateway has lost none so far, so that no age matters */
async function oldestWorker(gateway: GatewayProcess, isFirst: boolean): Promise<LivingWorker> {
  let oldest: LivingWorker | undefined;
  await poll(`a worker of ${gateway.name} to be ${GROWN_MS} ms old`, async () => {
    const { workers } = await gateway.status();
    const living = workers.filter((worker): worker is LivingWorker => worker.state === 'accepting');
    oldest = living.toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt))[0];
    if (oldest === undefined) return false;
    return isFirst || Date.now() - Date.parse(oldest.startedAt) > GROWN_MS;
  });
  return oldest as LivingWorker;
}

type LivingWorker = Worker & { readonly pid: number };

/** SIGKILL to all processes of a gateway at once; it is started anew. */
export async function groupKills(scene: Scene, times: number, say: Say): Promise<PhaseReport> {
  return killing(scene, 'group kills', times, say, async (gateway, kills) => {
    const pids = await gateway.processes();
    const kill = { pids, timeMs: Date.now(), replacedMs: Number.POSITIVE_INFINITY };
    kills.push(kill);
    await gateway.killGroup();
    await gateway.start();
    await scene.balancer.up(gateway.name);
    kill.replacedMs = Date.now();
  });
}

async function killing(
  scene: Scene,
  phase: string,
  times: number,
  say: Say,
  kill: (gateway: GatewayProcess, kills: Kill[]) => Promise<void>,
): Promise<PhaseReport> {
  const kills: Kill[] = [];
  const step: Step = (gateway) => kill(gateway, kills);
  const { taken, seconds } = await measure(scene, () => repeat(scene, times, phase, say, step));
  const { unexplained, ...lost } = await attribute(taken.failures, kills, scene.gateways);
  return report(phase, times, taken, seconds, { failures: unexplained, lost });
}

async function repeat(
  { gateways }: Scene,
  times: number,
  what: string,
  say: Say,
  step: Step,
): Promise<void> {
  for (let time = 0; time < times; time++) {
    const gateway = gateways[time % gateways.length] as GatewayProcess;
    await step(gateway, time);
    if ((time + 1) % 10 === 0 || time + 1 === times) say(`${what}: ${time + 1} of ${times}`);
  }
}

/** What the load saw since it was last asked, until what had begun by the end of the action was over. */
export async function measure(scene: Scene, action: () => Promise<unknown>) {
  const began = performance.now();
  await action();
  const taken = await scene.load.take();
  return { taken, seconds: Math.round((performance.now() - began) / 100) / 10 };
}

function report(
  phase: string,
  times: number,
  { done, slowestMs }: Taken,
  seconds: number,
  facts: Pick<PhaseReport, 'failures'> & Partial<PhaseReport>,
): PhaseReport {
  return { phase, times, seconds, done, slowestMs, endedByDrain: 0, ...facts };
}
