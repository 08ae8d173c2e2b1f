import type { SendHandle } from 'node:child_process';
import type { CountedHead } from '../audit/segment.ts';
import { SekishoError } from '../core/errors.ts';
import type { Logger } from '../log.ts';
import type { WorkerState } from '../workers.ts';
import { Backoff } from './backoff.ts';
import type { ArgumentOf, ResultOf } from './calls.ts';
import { type Accepting, Child, type WorkerOffer } from './child.ts';
import type { ListenOrder, Order, Pulse, WorkerCalls } from './protocol.ts';

export interface SlotOptions {
  readonly number: number;
  readonly log: Logger;
  /** What the next process may ask. */
  offer(): WorkerOffer;
  /** What the next process is to be. */
  order(): Order;
  /** Resolves when a process may be started: not in the middle of a reload. */
  mayStart(): Promise<void>;
  /** The process is there: has it accept clients. @throws SekishoError */
  serve(slot: Slot): Promise<void>;
  /** It accepts clients. */
  serving(): void;
  /** The process is gone, against anybody's will. */
  lost(slot: Slot): void;
}

/** Opening the record, reading secrets and compiling the policy. */
const START_LIMIT_MS = 60_000;
/** How much longer than the exchanges that it waits for a drain may take. */
const DRAIN_MARGIN_MS = 10_000;
/** Exchanges whose clients are gone may still wait for a dial. */
const CLOSE_LIMIT_MS = 60_000;
/** A worker that has not been heard of for so long hangs: nobody knows what it still does. */
const SILENCE_LIMIT_MS = 30_000;

const UNHEARD: Pulse = { metrics: [], connections: 0 };

/** One of the places for a worker: when its process dies, another one follows, ever later when that goes on. */
export class Slot {
  readonly number: number;
  readonly #options: SlotOptions;
  readonly #backoff = new Backoff();
  #state: WorkerState['state'] = 'starting';
  #startedAt = new Date();
  #starts = 0;
  #child: Child | undefined;
  #settled: Promise<void> = Promise.resolve();
  /** Nothing follows any more. */
  #ending = false;
  #closing = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: SlotOptions) {
    this.number = options.number;
    this.#options = options;
  }

  get state(): WorkerState {
    return {
      number: this.number,
      pid: this.#child?.pid ?? null,
      state: this.#state,
      startedAt: this.#startedAt.toISOString(),
      restarts: Math.max(0, this.#starts - 1),
      connections: this.pulse.connections,
      heardAt: this.#child?.heardAt?.toISOString() ?? null,
    };
  }

  /** Its process can be asked. */
  get serves(): boolean {
    return this.#state === 'accepting' || this.#state === 'draining';
  }

  /** What was last heard of its process. */
  get pulse(): Pulse {
    return this.#child?.pulse ?? UNHEARD;
  }

  /** Resolves once a process that is being started serves or is gone. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /** @throws SekishoError `process-gone`, and as `Child.call` */
  async ask<Name extends keyof WorkerCalls>(
    name: Name,
    argument: ArgumentOf<WorkerCalls, Name>,
    limitMs?: number,
  ): Promise<ResultOf<WorkerCalls, Name>> {
    return this.#present().call(name, argument, limitMs);
  }

  /** Has it accept clients. @returns the socket, for another to go on with @throws SekishoError as `ask` */
  async listen(order: ListenOrder, handle: SendHandle | undefined): Promise<Accepting> {
    return this.#present().listen(order, handle);
  }

  /** Starts the process. @throws SekishoError what keeps it from serving; then none is there */
  async start(): Promise<void> {
    const { offer, log } = this.#options;
    const child = new Child(this.number, offer(), log);
    this.#child = child;
    this.#starts++;
    this.#startedAt = new Date();
    this.#state = 'starting';
    const gone = child.exited.then(() => this.#ended(child));
    const serving = this.#serve(child);
    this.#settled = serving.catch(() => undefined);
    try {
      await serving;
    } catch (error) {
      child.kill();
      await gone;
      throw error;
    }
    this.#state = this.#ending ? 'draining' : 'accepting';
    this.#options.serving();
  }

  async #serve(child: Child): Promise<void> {
    const { order, serve } = this.#options;
    await child.call('open', order(), START_LIMIT_MS);
    await serve(this);
  }

  /** Ends it now: it is not known, or not wanted, what it does. Another one follows. */
  kill(): void {
    this.#child?.kill();
  }

  /** What it said in the meantime could not be heard. */
  excuse(): void {
    this.#child?.excuse();
  }

  /** Kills a process that hangs. */
  checkPulse(): void {
    const child = this.#child;
    if (child === undefined || this.#state === 'starting') return;
    const silentMs = Math.round(child.silentMs);
    if (silentMs < SILENCE_LIMIT_MS) return;
    this.#options.log.error({ worker: this.number, silentMs }, 'a worker hangs: it is ended');
    child.kill();
  }

  /** Its exchanges may finish; nothing follows. */
  async drain(limitMs: number): Promise<void> {
    this.#stopRestarts();
    await this.#settled;
    if (this.#child === undefined) return;
    this.#state = 'draining';
    await this.#child.call('drain', limitMs, limitMs + DRAIN_MARGIN_MS);
  }

  /** Ends the process in order, or else by force. @returns the segments as they ended */
  async close(): Promise<readonly CountedHead[]> {
    this.#stopRestarts();
    await this.#settled;
    const child = this.#child;
    if (child === undefined) return [];
    this.#closing = true;
    try {
      return await child.call('close', undefined, CLOSE_LIMIT_MS);
    } finally {
      child.kill();
      await child.exited;
      this.#child = undefined;
    }
  }

  #stopRestarts(): void {
    this.#ending = true;
    clearTimeout(this.#retry);
  }

  #ended(child: Child): void {
    if (this.#closing) return;
    const { log, lost } = this.#options;
    const wasServing = this.serves;
    lost(this);
    this.#child = undefined;
    const facts = { worker: this.number, pid: child.pid, ...child.end };
    if (this.#ending) return log.error(facts, 'a worker is gone: what it was finishing is cut');
    this.#state = 'backing-off';
    // One that dies while it starts is told and started again by whoever waits for it to serve.
    if (!wasServing) return;
    const restartInMs = this.#backoff.next(Date.now() - this.#startedAt.getTime());
    log.error({ ...facts, restartInMs }, 'a worker is gone: another follows');
    this.#restartIn(restartInMs);
  }

  #restartIn(delayMs: number): void {
    this.#retry = setTimeout(() => {
      this.#restart().catch((error: unknown) => {
        if (this.#ending) return;
        const restartInMs = this.#backoff.next(0);
        const facts = { worker: this.number, err: error, restartInMs };
        this.#options.log.error(facts, 'a worker cannot be started');
        this.#restartIn(restartInMs);
      });
    }, delayMs);
  }

  #present(): Child {
    if (this.#child !== undefined) return this.#child;
    throw new SekishoError('process-gone', `worker ${this.number} is not there`);
  }

  async #restart(): Promise<void> {
    const { mayStart, log } = this.#options;
    await mayStart();
    if (this.#ending) return;
    await this.start();
    log.info({ worker: this.number, pid: this.state.pid }, 'a worker is back');
  }
}
