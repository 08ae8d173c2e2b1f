import { FunctionProcess, type LocalFunction } from './function-process.ts';
import type { Invoked } from './runtime-api.ts';

/** Runs a function as often at a time as it is called, within a limit; each process takes one event after the other. */
export class FunctionHost {
  readonly #of: LocalFunction;
  readonly #limit: number;
  readonly #idle: FunctionProcess[] = [];
  readonly #all = new Set<FunctionProcess>();
  #busy = 0;
  /** Processes of an earlier one run code that has changed since. */
  #generation = 0;

  /** @param limit how many events at a time */
  constructor(of: LocalFunction, limit: number) {
    this.#of = of;
    this.#limit = limit;
  }

  /** Undefined where there are too many at a time. */
  async invoke(payload: Buffer): Promise<Invoked | undefined> {
    if (this.#busy >= this.#limit) return undefined;
    this.#busy++;
    try {
      const generation = this.#generation;
      const one = this.#rested() ?? (await this.#start());
      const invoked = await one.invoke(payload);
      if (one.isGone || generation !== this.#generation) this.#end(one);
      else this.#idle.push(one);
      return invoked;
    } finally {
      this.#busy--;
    }
  }

  /** The code has changed: what is under way ends as it began, everything later runs the new one. */
  reload(): void {
    this.#generation++;
    for (const one of this.#idle.splice(0)) this.#end(one);
  }

  stop(): void {
    for (const one of this.#all) this.#end(one);
  }

  /** One that waits for an event; those that ended meanwhile are none. */
  #rested(): FunctionProcess | undefined {
    for (let one = this.#idle.pop(); one !== undefined; one = this.#idle.pop()) {
      if (!one.isGone) return one;
      this.#end(one);
    }
    return undefined;
  }

  async #start(): Promise<FunctionProcess> {
    const one = await FunctionProcess.start(this.#of);
    this.#all.add(one);
    return one;
  }

  #end(one: FunctionProcess): void {
    this.#all.delete(one);
    one.stop();
  }
}
