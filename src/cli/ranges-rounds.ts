import { setTimeout as sleep } from 'node:timers/promises';
import fastify from 'fastify';
import { addHealthRoutes, type Check } from '../admin/health.ts';
import { listenOn, type Running } from '../admin/listen.ts';
import type { Bind } from '../config/config.ts';
import type { RangesConfig, RangesTargetConfig } from '../config/ranges-config.ts';
import { SekishoError } from '../core/errors.ts';
import type { Logger } from '../log.ts';
import { type ListCounts, RangesMetrics, type TargetCounts } from '../metrics/ranges.ts';
import { joinSnapshots, METRICS_CONTENT_TYPE } from '../metrics/snapshot.ts';
import { workOf } from '../ranges/plan/steps.ts';
import type { Ranges } from '../ranges/ranges.ts';
import { type Applied, applyAll } from './ranges-apply-all.ts';
import type { RangesRecord } from './ranges-record.ts';

export interface WatchParts {
  readonly ranges: Ranges;
  readonly targets: readonly RangesTargetConfig[];
  readonly record: RangesRecord;
  readonly log: Logger;
  readonly config: RangesConfig;
}

type Counts = { -readonly [Key in keyof TargetCounts]: TargetCounts[Key] };

/** Applies on a schedule. */
export class RangesWatch {
  readonly #parts: WatchParts;
  readonly #counts: ReadonlyMap<string, Counts>;
  readonly #lists = new Map<string, ListCounts>();
  readonly metrics: RangesMetrics;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#counts = new Map(
      parts.targets.map(({ name: target }) => [
        target,
        { target, entries: 0, appliedMs: undefined, changes: 0, failures: 0 },
      ]),
    );
    this.metrics = new RangesMetrics(
      () => [...this.#counts.values()],
      () => [...this.#lists.values()],
    );
  }

  /** Round after round, until the signal. Several gateways that watch do not ask at the same moment. */
  async run(signal: AbortSignal): Promise<void> {
    const { everyMs, jitterMs } = this.#parts.config.watch;
    while (!signal.aborted) {
      await this.#round(signal);
      const waitMs = everyMs + Math.random() * jitterMs;
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Every target has been right, by a list that was seen, no longer ago than the configuration has it. */
  checks(): readonly Check[] {
    const oldest = Date.now() - this.#parts.config.watch.maxAgeMs;
    const recent = (ms: number | undefined) => ms !== undefined && ms >= oldest;
    return [
      ...[...this.#counts.values()].map(({ target, appliedMs }) => ({
        name: `target ${target}`,
        ok: recent(appliedMs),
      })),
      ...[...this.#lists.values()].map(({ set, seenMs }) => ({
        name: `list of ${set}`,
        ok: recent(seenMs),
      })),
    ];
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { ranges, targets, record, log } = this.#parts;
    try {
      using _lock = ranges.lock();
      for (const one of await applyAll(ranges, targets, record, () => undefined)) this.#take(one);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof SekishoError)) throw error;
      log.error({ err: error, code: error.code }, 'a round came to nothing');
      for (const counts of this.#counts.values()) counts.failures++;
    }
  }

  #take({ target, wanted, result, problems }: Applied): void {
    const { log } = this.#parts;
    const counts = this.#counts.get(target.name) as Counts;
    for (const { name: set, seenMs, token } of wanted?.sets ?? []) {
      if (seenMs !== undefined) this.#lists.set(set, { set, seenMs, token });
    }
    for (const { code, message } of problems) log.warn({ target: target.name, code }, message);
    if ('error' in result) {
      const { code, message } = result.error;
      counts.failures++;
      log.error({ target: target.name, code }, message);
      return;
    }
    const { add, move, remove, keep } = result;
    counts.entries = keep.length + add.length + move.length;
    counts.changes += add.length + move.length + remove.length;
    counts.appliedMs = Date.now();
    if (workOf(result) === 0) return;
    const facts = { added: add.length, moved: move.length, removed: remove.length };
    log.info({ target: target.name, ...facts }, 'applied');
  }
}

/** `/healthz`, `/readyz` and `/metrics`. @throws SekishoError `listen-failed` */
export function startWatchPages(bind: Bind, watch: RangesWatch): Promise<Running> {
  const app = fastify({ forceCloseConnections: true });
  addHealthRoutes(app, () => watch.checks());
  app.get('/metrics', async (_, reply) => {
    reply.type(METRICS_CONTENT_TYPE);
    return joinSnapshots([watch.metrics.snapshot()]);
  });
  return listenOn(app, bind, 'ranges.watch.bind');
}
