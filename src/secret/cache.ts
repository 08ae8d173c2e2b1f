import { isPassing, SecretFailure } from './failure.ts';

/** What a source gave. */
export interface Fetched<Value> {
  readonly value: Value;
  /** Tells one value from the next; undefined where the source has no versions. */
  readonly version: string | undefined;
  /** How long it is good for, where it says so; undefined: as long as the cache keeps it. */
  readonly lifetimeMs?: number;
}

export interface Lookup<Value> {
  /** Of all lookups of a cache, the name of this one. Holds no secret. */
  readonly key: string;
  /** What it is read from: `ssm`, `vault`. */
  readonly source: string;
  readonly ttlMs: number;
  /** @throws SecretFailure, or whatever else, which then counts as `unavailable` */
  fetch(signal: AbortSignal): Promise<Fetched<Value>>;
}

export interface CacheSurroundings {
  /** Milliseconds of any steady clock. */
  now(): number;
  /** From 0 to 1. */
  random(): number;
  readonly meter: SecretMeter;
  /** Says why a source failed. */
  failed(key: string, failure: SecretFailure): void;
}

export interface SecretMeter {
  /** @param outcome `read`, or why not */
  read(source: string, outcome: string): void;
}

export interface CacheLimits {
  /** How long a source is waited for. */
  readonly patienceMs: number;
  /** How long the word that there is no such secret holds. */
  readonly missingMs: number;
  /** How long beyond its time a value is used while its source fails. */
  readonly staleMs: number;
  /** About how long a source that fails is left alone while a value of it serves on. */
  readonly retryMs: number;
  /** How old a value must be to be read anew because a destination refused it. */
  readonly refusedMs: number;
  /** Values at a time. */
  readonly size: number;
}

export const CACHE_LIMITS: CacheLimits = {
  patienceMs: 5_000,
  missingMs: 30_000,
  staleMs: 300_000,
  retryMs: 2_000,
  refusedMs: 10_000,
  size: 10_000,
};

interface Kept extends Fetched<unknown> {
  readonly fetchedAt: number;
  refreshAt: number;
  expiresAt: number;
  /** Beyond its end once its source was found to fail: nobody then waits for that again. */
  servesUntil: number;
}

interface Entry {
  kept: Kept | undefined;
  missing: { failure: SecretFailure; until: number } | undefined;
  pending: Promise<Fetched<unknown>> | undefined;
}

/**
 * What secrets are read through, wherever they are kept: each is read once at a time, kept for its TTL, and read anew a
 * little before that ends, at a time that differs from one gateway to the next. A failure is never kept, apart from the
 * word that there is no such secret; while a source is out of reach the last value serves on within a bound.
 */
export class SecretCache {
  readonly #around: CacheSurroundings;
  readonly #limits: CacheLimits;
  /** The one used longest ago comes first. */
  readonly #entries = new Map<string, Entry>();

  constructor(around: CacheSurroundings, limits: CacheLimits = CACHE_LIMITS) {
    this.#around = around;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws SecretFailure */
  async get<Value>(lookup: Lookup<Value>): Promise<Fetched<Value>> {
    const entry = this.#entry(lookup.key);
    const now = this.#around.now();
    if (entry.missing !== undefined && now < entry.missing.until) throw entry.missing.failure;
    const { kept } = entry;
    if (kept !== undefined && now < kept.servesUntil) {
      if (now >= kept.refreshAt) this.#refresh(lookup, entry, kept);
      return kept as Fetched<Value>;
    }
    try {
      return (await this.#fetchOnce(lookup, entry)) as Fetched<Value>;
    } catch (failure) {
      if (entry.kept === undefined || now >= entry.kept.servesUntil) throw failure;
      return entry.kept as Fetched<Value>;
    }
  }

  /**
   * A destination refused a value: the next to ask gets another one, unless this one was read a moment ago, so that
   * nobody can make a gateway hammer its sources.
   *
   * @returns whether the next one is read anew
   */
  refuse(key: string, version: string | undefined): boolean {
    const kept = this.#entries.get(key)?.kept;
    if (kept === undefined || kept.version !== version) return kept !== undefined;
    const now = this.#around.now();
    if (now < kept.fetchedAt + this.#limits.refusedMs) return false;
    kept.expiresAt = Math.min(kept.expiresAt, now);
    kept.servesUntil = kept.expiresAt;
    return true;
  }

  #entry(key: string): Entry {
    const entry = this.#entries.get(key) ?? {
      kept: undefined,
      missing: undefined,
      pending: undefined,
    };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    for (const [oldest, { pending }] of this.#entries) {
      if (this.#entries.size <= this.#limits.size) break;
      if (pending === undefined && oldest !== key) this.#entries.delete(oldest);
    }
    return entry;
  }

  /** In nobody's way. Should it fail, the next one tries when a part of the time that is left has gone by. */
  #refresh(lookup: Lookup<unknown>, entry: Entry, kept: Kept): void {
    const now = this.#around.now();
    kept.refreshAt = now + Math.max((kept.expiresAt - now) / 4, this.#pauseMs());
    this.#fetchOnce(lookup, entry).catch(() => {
      // It was told, and counted; whoever needs it once it has expired learns of it.
    });
  }

  #fetchOnce(lookup: Lookup<unknown>, entry: Entry): Promise<Fetched<unknown>> {
    entry.pending ??= this.#fetch(lookup, entry).finally(() => {
      entry.pending = undefined;
      if (entry.kept === undefined && entry.missing === undefined) this.#entries.delete(lookup.key);
    });
    return entry.pending;
  }

  async #fetch(lookup: Lookup<unknown>, entry: Entry): Promise<Fetched<unknown>> {
    const { meter } = this.#around;
    try {
      const fetched = await this.#inTime(lookup);
      meter.read(lookup.source, 'read');
      entry.missing = undefined;
      entry.kept = this.#keep(fetched, lookup.ttlMs);
      return fetched;
    } catch (error) {
      const failure = asFailure(lookup.key, error);
      meter.read(lookup.source, failure.code);
      this.#around.failed(lookup.key, failure);
      // What the source itself says no longer holds is not used on.
      if (!isPassing(failure)) entry.kept = undefined;
      else if (entry.kept !== undefined) this.#serveOn(entry.kept);
      if (failure.code === 'missing') {
        entry.missing = { failure, until: this.#around.now() + this.#limits.missingMs };
      }
      throw failure;
    }
  }

  #serveOn(kept: Kept): void {
    // A token that says itself when it ends is worth nothing afterwards.
    if (kept.lifetimeMs !== undefined) return;
    kept.servesUntil = kept.expiresAt + this.#limits.staleMs;
    kept.refreshAt = Math.max(kept.refreshAt, this.#around.now() + this.#pauseMs());
  }

  /** Differs from one process to the next, which all found the source failing at the same time. */
  #pauseMs(): number {
    return this.#limits.retryMs * (0.5 + this.#around.random());
  }

  #keep(fetched: Fetched<unknown>, ttlMs: number): Kept {
    const fetchedAt = this.#around.now();
    const keptMs = Math.min(ttlMs, fetched.lifetimeMs ?? Number.POSITIVE_INFINITY);
    const refreshAt = fetchedAt + keptMs * (0.75 + 0.2 * this.#around.random());
    const expiresAt = fetchedAt + keptMs;
    return { ...fetched, fetchedAt, refreshAt, expiresAt, servesUntil: expiresAt };
  }

  async #inTime(lookup: Lookup<unknown>): Promise<Fetched<unknown>> {
    const { patienceMs } = this.#limits;
    const abort = new AbortController();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const failure = new SecretFailure('slow', `no answer within ${patienceMs} ms`);
      late.reject(failure);
      abort.abort(failure);
    }, patienceMs);
    try {
      return await Promise.race([lookup.fetch(abort.signal), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function asFailure(key: string, error: unknown): SecretFailure {
  if (error instanceof SecretFailure) return error;
  const { message } = error as Error;
  return new SecretFailure('unavailable', `${key}: ${message}`, { cause: error });
}
