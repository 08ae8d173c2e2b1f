import { type ChildProcess, fork, type SendHandle } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Bind } from '../config/config.ts';
import type { Logger } from '../log.ts';
import { type ArgumentOf, Calls, Handed, type Offer, type ResultOf } from './calls.ts';
import type { ListenOrder, PrimaryCalls, Pulse, WorkerCalls } from './protocol.ts';

/** What a worker is answered; its pulse is taken here. */
export type WorkerOffer = Omit<Offer<PrimaryCalls>, 'pulse'>;

/** What a worker is asked, but for its start and its end. */
const CALL_LIMIT_MS = 10_000;

/** Where a worker accepts clients, and the socket. */
export interface Accepting {
  readonly bind: Bind;
  readonly handle: SendHandle;
}

/** A worker process. */
export class Child {
  /** Resolves once the process is gone, or could not be made at all. */
  readonly exited: Promise<void>;
  /** What was last heard of it. */
  pulse: Pulse | undefined;
  /** When that was. */
  heardAt: Date | undefined;
  readonly #process: ChildProcess;
  readonly #calls: Calls<WorkerCalls, PrimaryCalls>;
  /** Milliseconds of the monotonic clock. */
  #heardMs = performance.now();

  constructor(number: number, offer: WorkerOffer, log: Logger) {
    const child = fork(entry(), [String(number)], {
      // So that a reload can collect garbage in small portions: see `inSlices`.
      execArgv: [...process.execArgv, '--expose-gc'],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#process = child;
    this.#calls = new Calls<WorkerCalls, PrimaryCalls>(child, {
      ...offer,
      pulse: (pulse) => {
        this.#heardMs = performance.now();
        this.pulse = pulse;
        this.heardAt = new Date();
      },
    });
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        // Where a socket was on its way, the channel does not tell that it is gone.
        this.#calls.end();
        resolve();
      });
      child.on('error', (error) => {
        log.error({ worker: number, err: error }, 'a worker process failed');
        if (child.pid !== undefined) return;
        this.#calls.end();
        resolve();
      });
    });
  }

  get pid(): number | null {
    return this.#process.pid ?? null;
  }

  /** How it ended. */
  get end(): { readonly code: number | null; readonly signal: NodeJS.Signals | null } {
    const { exitCode, signalCode } = this.#process;
    return { code: exitCode, signal: signalCode };
  }

  excuse(): void {
    this.#heardMs = performance.now();
  }

  get silentMs(): number {
    return performance.now() - this.#heardMs;
  }

  /** @throws SekishoError as `Calls.call` */
  call<Name extends keyof WorkerCalls>(
    name: Name,
    argument: ArgumentOf<WorkerCalls, Name>,
    limitMs: number | undefined = CALL_LIMIT_MS,
  ): Promise<ResultOf<WorkerCalls, Name>> {
    return this.#calls.call(name, argument, limitMs);
  }

  /** Has it accept clients. @returns the socket, for another to go on with @throws SekishoError as `Calls.call` */
  async listen(order: ListenOrder, handle: SendHandle | undefined): Promise<Accepting> {
    const handed: unknown = await this.#calls.call('listen', order, CALL_LIMIT_MS, handle);
    if (!(handed instanceof Handed)) throw new TypeError('no socket came with the address');
    return { bind: handed.value as Bind, handle: handed.handle };
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

/** Beside this file: as a source in a checkout, compiled in the package. */
function entry(): string {
  const name = import.meta.filename.endsWith('.ts') ? 'main.ts' : 'main.js';
  return fileURLToPath(new URL(name, import.meta.url));
}
