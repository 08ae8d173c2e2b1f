import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from '../admin/health.ts';
import type { RangesConfig, RangesTargetConfig } from '../config/ranges-config.ts';
import { SekishoError } from '../core/errors.ts';
import type { Logger } from '../log.ts';
import { type ListCounts, RangesMetrics, type TargetCounts } from '../metrics/ranges.ts';
import { workOf } from '../ranges/plan/steps.ts';
import type { Ranges } from '../ranges/ranges.ts';
import type { Announcement } from '../ranges/sns/announcement.ts';
import { type Applied, appliedTokens, applyAll } from './ranges-apply-all.ts';
import type { RangesRecord } from './ranges-record.ts';

export interface WatchParts {
  readonly ranges: Ranges;
  readonly targets: readonly RangesTargetConfig[];
  readonly record: RangesRecord;
  readonly log: Logger;
  readonly config: RangesConfig;
}

type Counts = { -readonly [Key in keyof TargetCounts]: TargetCounts[Key] };

/** What is announced and could not be applied yet, be it that no cache had it, is tried again so soon. */
const AGAIN_MS = 60_000;

/** Applies on a schedule, and when a list is announced to have changed. */
export class RangesWatch {
  readonly #parts: WatchParts;
  readonly #counts: ReadonlyMap<string, Counts>;
  readonly #lists = new Map<string, ListCounts & { readonly url: string | undefined }>();
  readonly metrics: RangesMetrics;
  /** Versions that every target followed to its end, by the address of the list. */
  readonly #applied = new Map<string, bigint>();
  /** The newest one that is not applied yet: however many there were, they lead to one apply. */
  #announced: Announcement | undefined;
  #rest = new AbortController();

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
      const announced = this.#announced;
      await this.#round(signal, announced);
      if (this.#announced !== undefined && !this.#isPending(this.#announced)) {
        this.#announced = undefined;
      }
      // Announced during the round, and newer than what that found.
      if (this.#announced !== announced && this.#announced !== undefined) continue;
      this.#rest = new AbortController();
      const longestMs = this.#announced === undefined ? everyMs : Math.min(AGAIN_MS, everyMs);
      const until = AbortSignal.any([signal, this.#rest.signal]);
      await sleep(longestMs + Math.random() * jitterMs, undefined, { signal: until }).catch(
        () => undefined,
      );
    }
  }

  /** A list has changed: it is applied now, unless it is no newer than what was. */
  announce(announcement: Announcement): void {
    const { token, url } = announcement;
    const isApplied = token <= (this.#applied.get(url) ?? -1n);
    const isOld = isApplied || token <= (this.#announced?.token ?? -1n);
    this.#parts.log.info({ token: String(token), ignored: isOld }, 'a list is announced');
    if (isOld) return;
    this.#announced = announcement;
    this.#rest.abort();
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

  /** Some set follows that list, and not every target has it. */
  #isPending({ url, token }: Announcement): boolean {
    const isFollowed = [...this.#lists.values()].some((list) => list.url === url);
    return isFollowed && token > (this.#applied.get(url) ?? -1n);
  }

  async #round(signal: AbortSignal, announced: Announcement | undefined): Promise<void> {
    const { ranges, targets, record, log } = this.#parts;
    try {
      using _lock = ranges.lock();
      const applied = await applyAll(ranges, targets, record, () => undefined, announced);
      for (const one of applied) this.#take(one);
      for (const [url, token] of appliedTokens(applied)) this.#applied.set(url, token);
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
    for (const { name: set, seenMs, token, source } of wanted?.sets ?? []) {
      const url = source?.from.kind === 'url' ? source.from.url : undefined;
      if (seenMs !== undefined) this.#lists.set(set, { set, seenMs, token, url });
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
