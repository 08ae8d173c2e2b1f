import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadPlan, Order, Taken } from './load-plan.ts';

/** The load generator, seen from outside. It is at work from the beginning to `stop`. */
export class LoadProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(plan: LoadPlan) {
    this.#child = fork(join(import.meta.dirname, 'load.ts'), [JSON.stringify(plan)]);
    this.#ended = once(this.#child, 'exit');
  }

  /** What happened since the last call, once all that is under way now has ended. */
  async take(): Promise<Taken> {
    this.#tell('take');
    const answer = once(this.#child, 'message');
    const [taken] = (await Promise.race([answer, this.#ended])) as [Taken | number | null];
    if (taken === null || typeof taken === 'number') throw new Error('the load generator ended');
    return taken;
  }

  /** From now on, clients that are not well-behaved come as well. */
  roughen(): void {
    this.#tell('rough');
  }

  async stop(): Promise<void> {
    this.#child.kill();
    await this.#ended;
  }

  #tell(order: Order['order']): void {
    this.#child.send({ order } satisfies Order);
  }
}
