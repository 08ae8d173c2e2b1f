import type { Failure, Kind, Taken } from './load-plan.ts';
import type { Wire } from './wire.ts';

let made = 0;

/** A name that nothing else has: the upstream remembers it, and the record must hold it. */
export function nextName(): string {
  made++;
  return `n${process.pid}-${made}`;
}

/** Counts what happened, and knows what is under way. */
export class Tally {
  #done: Record<Kind, number> = { request: 0, tunnel: 0, 'long tunnel': 0 };
  #rough: Record<string, number> = {};
  #failures: Failure[] = [];
  #slowestMs = 0;
  readonly #underWay = new Set<Promise<void>>();

  /** Something that ends by itself, and that `settled` waits for. */
  run(action: Promise<void>): void {
    this.#underWay.add(action);
    void action.finally(() => this.#underWay.delete(action));
  }

  done(kind: Kind, startedMs: number): void {
    this.#done[kind]++;
    this.#slowestMs = Math.max(this.#slowestMs, Date.now() - startedMs);
  }

  doneRough(what: string): void {
    this.#rough[what] = (this.#rough[what] ?? 0) + 1;
  }

  /** @param wire undefined: no connection came about */
  failed(kind: Kind, marker: string, wire: Wire | undefined, error: unknown): void {
    const failedMs = Date.now();
    const { clientPort = 0, openedMs = failedMs } = wire ?? {};
    const what = error instanceof Error ? error.message : String(error);
    this.#failures.push({ kind, marker, clientPort, openedMs, failedMs, what });
  }

  /** Resolves once all that is under way has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** What was counted, and begins anew. */
  take(): Taken {
    const taken = {
      done: this.#done,
      rough: this.#rough,
      failures: this.#failures,
      slowestMs: this.#slowestMs,
    };
    this.#done = { request: 0, tunnel: 0, 'long tunnel': 0 };
    this.#rough = {};
    this.#failures = [];
    this.#slowestMs = 0;
    return taken;
  }
}
