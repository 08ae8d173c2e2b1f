import { openSegments } from '../audit/audit.ts';
import { eventLine, type OwnEvent } from '../audit/event.ts';
import type { CountedHead } from '../audit/segment.ts';
import type { SegmentWriter, WriterMeter } from '../audit/writer.ts';
import type { Bundle, Candidate } from '../candidate.ts';
import type { Bind, Config } from '../config/config.ts';
import { SekishoError } from '../core/errors.ts';
import type { Logger } from '../log.ts';
import { addCounts, type MetricSnapshot } from '../metrics/snapshot.ts';
import { auditDir, type WorkerState, type Workers } from '../workers.ts';
import type { WorkerOffer } from './child.ts';
import { type Borrower, LentPlaces } from './places.ts';
import { Slot } from './slot.ts';
import { Sockets } from './sockets.ts';

export interface SupervisorOptions {
  readonly count: number;
  readonly candidate: Candidate;
  readonly log: Logger;
  readonly meter: WriterMeter;
}

/** Shorter than a worker may be silent: while it prepares, it is. */
const PREPARE_LIMIT_MS = 25_000;
/** What the last pulse said is as good. */
const METRICS_LIMIT_MS = 1_000;
const PULSE_CHECK_MS = 5_000;

/** Worker processes that act as one. */
export class Supervisor implements Workers {
  readonly #options: SupervisorOptions;
  readonly #config: Config;
  /** For what the primary itself puts on record. */
  readonly #writer: SegmentWriter;
  readonly #slots: readonly Slot[];
  readonly #sockets: Sockets;
  readonly #places: LentPlaces;
  readonly #pulse: NodeJS.Timeout;
  #checkedMs = performance.now();
  /** What each slot's process has borrowed. */
  readonly #borrowers = new Map<Slot, Borrower>();
  /** Segments of workers that ended in order. */
  readonly #ended: CountedHead[] = [];
  /** What workers that are gone had counted. */
  #departed: Promise<MetricSnapshot> = Promise.resolve([]);
  #own: readonly Bind[] = [];
  #bundle: Bundle;
  #leaving = false;
  #candidate: Candidate | undefined;
  /** Pending while a reload is under way: no process is to start between its two halves. */
  #reloading: PromiseWithResolvers<void> | undefined;
  #onLost: () => void = () => undefined;

  private constructor(options: SupervisorOptions, writer: SegmentWriter) {
    const { count, candidate, log } = options;
    this.#options = options;
    this.#config = candidate.inForce.config;
    this.#writer = writer;
    this.#bundle = candidate.bundle;
    this.#places = new LentPlaces(count);
    this.#slots = Array.from({ length: count }, (_, i) => this.#slot(i + 1));
    this.#sockets = new Sockets(this.#config.listeners, log);
    this.#pulse = setInterval(() => this.#checkPulses(), PULSE_CHECK_MS).unref();
  }

  /** @throws SekishoError `audit-unavailable` */
  static async open(options: SupervisorOptions): Promise<Supervisor> {
    const { config, digest } = options.candidate.inForce;
    const { gateway, audit } = config;
    const writer = await openSegments({
      dir: auditDir(config),
      gateway: gateway.name,
      policy: digest,
      durability: audit.durability,
      now: Date.now,
      log: options.log,
      meter: options.meter,
    });
    return new Supervisor(options, writer);
  }

  async start(own: readonly Bind[]): Promise<ReadonlyMap<string, readonly Bind[]>> {
    this.#own = own;
    const [first, ...others] = this.#slots as [Slot, ...Slot[]];
    // The first finds the ports where the system picks them.
    await first.start();
    await Promise.all(others.map((slot) => slot.start()));
    return this.#sockets.bound();
  }

  states(): readonly WorkerState[] {
    return this.#slots.map(({ state }) => state);
  }

  onLost(listener: () => void): void {
    this.#onLost = listener;
  }

  async prepare(candidate: Candidate): Promise<void> {
    this.#reloading = Promise.withResolvers();
    while (this.#slots.some(({ state }) => state.state === 'starting')) {
      await Promise.all(this.#slots.map(({ settled }) => settled));
    }
    // One after the other, so that never all of them are busy with it.
    for (const slot of this.#present()) {
      await slot.ask('prepare', candidate.bundle, PREPARE_LIMIT_MS).catch(unlessGone);
    }
    this.#candidate = candidate;
  }

  async swap(): Promise<number> {
    const { bundle, inForce } = this.#candidate as Candidate;
    // A worker that is gone by now comes back with this.
    this.#bundle = bundle;
    this.#writer.adopt(inForce.digest);
    const ended = await Promise.all(this.#present().map((slot) => this.#swapOne(slot)));
    this.#endReload();
    return ended.reduce((sum, count) => sum + count, 0);
  }

  /** One that does not answer may decide by what is no longer in force: it is ended. */
  async #swapOne(slot: Slot): Promise<number> {
    try {
      return await slot.ask('swap', undefined);
    } catch (error) {
      const facts = { worker: slot.number, err: error };
      if (!isGone(error)) this.#options.log.error(facts, 'a worker cannot swap: it is ended');
      slot.kill();
      return 0;
    }
  }

  discard(): void {
    void this.#ofAll((slot) => slot.ask('discard', undefined));
    this.#endReload();
  }

  #endReload(): void {
    this.#candidate = undefined;
    this.#reloading?.resolve();
    this.#reloading = undefined;
  }

  async note(event: OwnEvent): Promise<void> {
    await this.#writer.write(eventLine(event));
  }

  async heads(): Promise<readonly CountedHead[]> {
    const heads = await this.#ofAll((slot) => slot.ask('heads', undefined));
    return [...this.#writer.heads, ...this.#ended, ...heads.flat()];
  }

  forget(segments: readonly string[]): void {
    this.#writer.forget(segments);
    void this.#ofAll((slot) => slot.ask('forget', segments));
  }

  async find(id: string): Promise<readonly string[]> {
    return (await this.#ofAll((slot) => slot.ask('find', id))).flat();
  }

  async metrics(): Promise<readonly MetricSnapshot[]> {
    // Both as of now: one that is gone meanwhile is counted once.
    const departed = this.#departed;
    const present = this.#slots.map(async (slot) => {
      const { metrics } = slot.pulse;
      return slot.ask('metrics', undefined, METRICS_LIMIT_MS).catch(() => metrics);
    });
    return [await departed, ...(await Promise.all(present))];
  }

  async reopenLogs(): Promise<void> {
    await this.#ofAll((slot) => slot.ask('reopenLogs', undefined));
  }

  leave(): void {
    this.#leaving = true;
    void this.#ofAll((slot) => slot.ask('leave', undefined));
  }

  async drain(limitMs: number): Promise<void> {
    this.#reloading?.resolve();
    this.#sockets.release();
    await Promise.all(this.#slots.map((slot) => this.#orTell(slot, slot.drain(limitMs))));
  }

  async close(): Promise<void> {
    clearInterval(this.#pulse);
    await Promise.all(
      this.#slots.map((slot) =>
        this.#orTell(
          slot,
          slot.close().then((heads) => void this.#ended.push(...heads)),
        ),
      ),
    );
    await this.#writer.close();
  }

  #present(): readonly Slot[] {
    return this.#slots.filter(({ serves }) => serves);
  }

  /** What those answer that do; the others are told of where they fail. */
  async #ofAll<T>(ask: (slot: Slot) => Promise<T>): Promise<T[]> {
    const answers = await Promise.all(
      this.#present().map((slot) => ask(slot).catch((error: unknown) => this.#tellOf(slot, error))),
    );
    return answers.filter((answer) => answer !== undefined) as T[];
  }

  async #orTell(slot: Slot, work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => this.#tellOf(slot, error));
  }

  /** That it is gone is told where it is noticed. */
  #tellOf(slot: Slot, error: unknown): undefined {
    if (isGone(error)) return;
    this.#options.log.error({ worker: slot.number, err: error }, 'a worker does not answer');
  }

  #slot(number: number): Slot {
    const { log, count } = this.#options;
    const slot: Slot = new Slot({
      number,
      log,
      offer: () => this.#offer(slot),
      order: () => ({
        number,
        count,
        bundle: this.#bundle,
        own: this.#own,
        leaving: this.#leaving,
      }),
      mayStart: async () => this.#reloading?.promise,
      serve: () => this.#sockets.serveBy(slot),
      serving: () => this.#sockets.settle(this.#present()),
      lost: () => this.#lost(slot),
    });
    return slot;
  }

  /** What the next process of a slot may ask. */
  #offer(slot: Slot): WorkerOffer {
    const borrower = this.#places.borrower();
    this.#borrowers.set(slot, borrower);
    return {
      find: async (id) => {
        const others = this.#present().filter((other) => other !== slot);
        const found = await Promise.all(
          others.map((other) => other.ask('find', id).catch(() => [])),
        );
        return found.flat();
      },
      takePlace: (order) => borrower.take(order),
      leavePlace: (order) => borrower.leave(order),
    };
  }

  #lost(slot: Slot): void {
    this.#borrowers.get(slot)?.end();
    const { metrics } = slot.pulse;
    this.#departed = this.#departed.then((before) => addCounts(before, metrics));
    this.#sockets.lost(slot);
    this.#sockets.settle(this.#present().filter((other) => other !== slot));
    this.#onLost();
  }

  /** When this process itself was held up, it is not the workers that were silent: what they said waits to be read. */
  #checkPulses(): void {
    const now = performance.now();
    const wasHeldUp = now - this.#checkedMs > 2 * PULSE_CHECK_MS;
    this.#checkedMs = now;
    for (const slot of this.#slots) {
      if (wasHeldUp) slot.excuse();
      else slot.checkPulse();
    }
  }
}

/** It needs nothing: the next process of its place starts with what is in force then. */
function unlessGone(error: unknown): void {
  if (!isGone(error)) throw error;
}

function isGone(error: unknown): boolean {
  return error instanceof SekishoError && error.code === 'process-gone';
}
