import { type ChildProcess, fork, type SendHandle } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { CountedHead } from '../audit/segment.ts';
import type { Bind } from '../config/config.ts';
import { SekishoError } from '../core/errors.ts';
import type { Logger } from '../log.ts';
import type { WorkerState } from '../workers.ts';
import { Backoff } from './backoff.ts';
import { type ArgumentOf, Calls, Handed, type Offer, type ResultOf } from './calls.ts';
import type { ListenOrder, Order, PrimaryCalls, Pulse, WorkerCalls } from './protocol.ts';

/** A worker process that is there. */
interface Running {
  readonly child: ChildProcess;
  readonly calls: Calls<WorkerCalls, PrimaryCalls>;
  readonly exited: Promise<void>;
  /** Milliseconds of the monotonic clock. */
  heardMs: number;
}

export interface SlotOptions {
  readonly number: number;
  readonly log: Logger;
  readonly offer: Omit<Offer<PrimaryCalls>, 'pulse'>;
  /** What the next process is to be. */
  order(): Order;
  /** Resolves when a process may be started: not in the middle of a reload. */
  mayStart(): Promise<void>;
  /** The process serves: sockets can be given to it. @throws SekishoError */
  listen(slot: Slot): Promise<void>;
  /** The process is gone, against anybody's will. */
  lost(slot: Slot): void;
}

/** Opening the record, reading secrets and compiling the policy. */
const START_LIMIT_MS = 60_000;
/** Anything else that a worker is asked. */
export const CALL_LIMIT_MS = 10_000;
/** Exchanges whose clients are gone may still wait for a dial. */
const CLOSE_LIMIT_MS = 20_000;
/** A worker that has not been heard of for so long hangs: nobody knows what it still does. */
const SILENCE_LIMIT_MS = 30_000;

const SILENT: Pulse = { metrics: [], connections: 0 };

/** One of the places for a worker: when its process dies, another one follows, ever later when that goes on. */
export class Slot {
  readonly #options: SlotOptions;
  readonly #backoff = new Backoff();
  #state: WorkerState['state'] = 'starting';
  #startedAt = new Date();
  #restarts = -1;
  #running: Running | undefined;
  #ending = false;
  #retry: NodeJS.Timeout | undefined;
  #settled: Promise<void> = Promise.resolve();
  /** What was last heard of it. */
  pulse: Pulse = SILENT;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get number(): number {
    return this.#options.number;
  }

  get state(): WorkerState {
    const { number } = this;
    const pid = this.#running?.child.pid ?? null;
    const startedAt = this.#startedAt.toISOString();
    const [state, restarts] = [this.#state, Math.max(0, this.#restarts)];
    return { number, pid, state, startedAt, restarts, connections: this.pulse.connections };
  }

  get accepts(): boolean {
    return this.#state === 'accepting';
  }

  /** Resolves once a process that is being started serves or is gone. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** Starts the process. @throws SekishoError what keeps it from serving; then none is there */
  async start(): Promise<void> {
    const running = this.#fork();
    this.#restarts++;
    this.#startedAt = new Date();
    this.#state = 'starting';
    this.#running = running;
    const started = this.#open(running);
    this.#settled = started.catch(() => undefined);
    try {
      await started;
    } catch (error) {
      this.#running = undefined;
      running.child.kill('SIGKILL');
      throw error;
    }
    this.#state = 'accepting';
    running.exited.then(() => this.#ended(running));
  }

  async #open(running: Running): Promise<void> {
    await running.calls.call('open', this.#options.order(), START_LIMIT_MS);
    await this.#options.listen(this);
  }

  #fork(): Running {
    const { offer, number } = this.#options;
    const child = fork(entry(), [String(number)], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = once(child, 'exit').then(() => undefined);
    // It could not even be started: what waits for it is told by the channel.
    child.on('error', (error) =>
      this.#options.log.error({ err: error }, 'a worker process failed'),
    );
    const running: Running = {
      child,
      exited,
      heardMs: performance.now(),
      calls: new Calls<WorkerCalls, PrimaryCalls>(child, {
        ...offer,
        pulse: (pulse) => {
          running.heardMs = performance.now();
          this.pulse = pulse;
        },
      }),
    };
    return running;
  }

  /** Asks the process. @throws SekishoError `process-gone` where there is none, and as `Calls.call` */
  async call<Name extends keyof WorkerCalls>(
    name: Name,
    argument: ArgumentOf<WorkerCalls, Name>,
    limitMs: number | undefined = CALL_LIMIT_MS,
  ): Promise<ResultOf<WorkerCalls, Name>> {
    const { calls } = this.#present();
    return calls.call(name, argument, limitMs);
  }

  /** Has it accept clients. @returns the socket, for another to go on with */
  async listen(
    order: ListenOrder,
    handle: SendHandle | undefined,
  ): Promise<{ bind: Bind; handle: SendHandle }> {
    const { calls } = this.#present();
    const handed: unknown = await calls.call('listen', order, CALL_LIMIT_MS, handle);
    if (!(handed instanceof Handed)) throw new TypeError('no socket came with the address');
    return { bind: handed.value as Bind, handle: handed.handle };
  }

  /** Ends it now: it is not known, or not wanted, what it does. Another one follows. */
  kill(): void {
    this.#running?.child.kill('SIGKILL');
  }

  /** Kills a process that hangs. */
  checkPulse(): void {
    const running = this.#running;
    if (running === undefined || this.#state === 'starting') return;
    const silentMs = performance.now() - running.heardMs;
    if (silentMs < SILENCE_LIMIT_MS) return;
    const { number } = this;
    this.#options.log.error(
      { worker: number, silentMs: Math.round(silentMs) },
      'a worker hangs: it is ended',
    );
    running.child.kill('SIGKILL');
  }

  /** Its exchanges may finish; nothing follows. */
  async drain(limitMs: number): Promise<void> {
    this.#stopRestarts();
    if (this.#running === undefined) return;
    this.#state = 'draining';
    await this.call('drain', limitMs, limitMs + CALL_LIMIT_MS);
  }

  /** Ends the process in order, or else by force. @returns the segments as they ended */
  async close(): Promise<readonly CountedHead[]> {
    this.#stopRestarts();
    const running = this.#running;
    if (running === undefined) return [];
    try {
      return await this.call('close', undefined, CLOSE_LIMIT_MS);
    } finally {
      running.child.kill('SIGKILL');
      await running.exited;
      this.#running = undefined;
    }
  }

  #stopRestarts(): void {
    this.#ending = true;
    clearTimeout(this.#retry);
  }

  #ended(running: Running): void {
    const { exitCode, signalCode, pid } = running.child;
    this.#running = undefined;
    if (this.#ending) return;
    const { log, number, lost } = this.#options;
    const delayMs = this.#backoff.next(Date.now() - this.#startedAt.getTime());
    this.#state = 'backing-off';
    log.error(
      { worker: number, pid, code: exitCode, signal: signalCode, restartInMs: delayMs },
      'a worker is gone: another follows',
    );
    lost(this);
    this.pulse = SILENT;
    this.#restartIn(delayMs);
  }

  #restartIn(delayMs: number): void {
    this.#retry = setTimeout(() => {
      this.#restart().catch((error: unknown) => {
        const again = this.#backoff.next(0);
        this.#state = 'backing-off';
        this.#options.log.error(
          { worker: this.number, err: error, restartInMs: again },
          'a worker cannot be started',
        );
        if (!this.#ending) this.#restartIn(again);
      });
    }, delayMs);
  }

  async #restart(): Promise<void> {
    await this.#options.mayStart();
    if (this.#ending) return;
    await this.start();
    this.#options.log.info({ worker: this.number, pid: this.state.pid }, 'a worker is back');
  }

  #present(): Running {
    if (this.#running !== undefined) return this.#running;
    throw new SekishoError('process-gone', `worker ${this.number} is not there`);
  }
}

/** Beside this file: as a source in a checkout, compiled in the package. */
function entry(): string {
  const name = import.meta.filename.endsWith('.ts') ? 'main.ts' : 'main.js';
  return fileURLToPath(new URL(name, import.meta.url));
}
