import type { SendHandle } from 'node:child_process';
import { type Bundle, unbundle } from '../candidate.ts';
import type { Bind } from '../config/config.ts';
import type { Listening } from '../listener/forward-proxy/listener.ts';
import type { Logger } from '../log.ts';
import { Worker } from '../worker.ts';
import type { Peers } from '../workers.ts';
import { Calls, Handed, type Offer } from './calls.ts';
import { SharedPlaces } from './places.ts';
import type { ListenOrder, Order, PrimaryCalls, WorkerCalls } from './protocol.ts';
import { settleHeap } from './settle.ts';

const PULSE_MS = 1_000;
const END_LIMIT_MS = 15_000;

/** The worker in a process of its own, as its primary calls it. */
export class WorkerProcess {
  readonly #process: NodeJS.Process;
  readonly #log: Logger;
  readonly #listening = new Map<string, Listening>();
  #worker: Worker | undefined;
  #primary: Calls<PrimaryCalls, WorkerCalls> | undefined;
  #pulse: NodeJS.Timeout | undefined;
  /** Counts what was to be prepared, and what was discarded. */
  #prepared = 0;

  constructor(own: NodeJS.Process, log: Logger) {
    this.#process = own;
    this.#log = log;
  }

  serve(): void {
    const worker = () => this.#present();
    const offer: Offer<WorkerCalls> = {
      open: (order) => this.#open(order),
      listen: (order, handle) => this.#listen(order, handle),
      unlisten: (socket) => this.#unlisten(socket),
      prepare: (bundle) => this.#prepare(bundle),
      swap: () => worker().swap(),
      discard: () => {
        this.#prepared++;
        worker().discard();
      },
      heads: () => worker().heads(),
      forget: (segments) => worker().forget(segments),
      find: (id) => worker().find(id),
      metrics: async () => worker().snapshot(),
      reopenLogs: () => worker().reopenLogs(),
      leave: () => worker().leave(),
      drain: (limitMs) => worker().drain(limitMs),
      close: () => this.#close(),
    };
    this.#primary = new Calls<PrimaryCalls, WorkerCalls>(this.#process, offer);
    this.#process.on('disconnect', () => this.#end());
  }

  async #open({ number, count, bundle, own, leaving }: Order): Promise<void> {
    const inForce = await unbundle(bundle, this.#process.env);
    this.#worker = await Worker.open(inForce, {
      log: this.#log,
      env: this.#process.env,
      peers: this.#peers(count),
      number,
    });
    this.#worker.shun(own);
    if (leaving) this.#worker.leave();
    settleHeap();
    this.#pulse = setInterval(() => void this.#beat(), PULSE_MS);
  }

  async #prepare(bundle: Bundle): Promise<void> {
    const number = ++this.#prepared;
    const inForce = await unbundle(bundle, this.#process.env);
    // Made in slices, it may be ready when it is no longer wanted, and must not take the place of a later one.
    if (number !== this.#prepared) throw new TypeError('what was being prepared was discarded');
    await this.#present().prepare({ inForce });
  }

  async #beat(): Promise<void> {
    const worker = this.#present();
    const metrics = await worker.snapshot();
    const pulse = { metrics, connections: worker.parts.metrics.connections.allOpen };
    // Nobody to tell: `disconnect` says so.
    await this.#primary?.call('pulse', pulse, undefined).catch(() => undefined);
  }

  async #listen({ listener, bind, socket }: ListenOrder, handle: SendHandle | undefined) {
    const { host, port } = bind;
    const at = handle === undefined ? { host, port, reusePort: true } : { handle };
    const listening = await this.#present().listener(listener).listen(bind, at);
    this.#listening.set(socket, listening);
    this.#present().shun([listening.bind]);
    return new Handed<Bind>(listening.bind, listening.handle as SendHandle);
  }

  #unlisten(socket: string): void {
    this.#listening.get(socket)?.close();
    this.#listening.delete(socket);
  }

  /** Without its primary a worker would know of no reload, and nobody would end it. What it did is put on record. */
  #end(): void {
    const exit = () => this.#process.exit(1);
    setTimeout(exit, END_LIMIT_MS);
    this.#close().then(exit, exit);
  }

  async #close() {
    clearInterval(this.#pulse);
    await this.#worker?.close();
    return (await this.#worker?.heads()) ?? [];
  }

  #peers(count: number): Peers {
    const primary = this.#primary as Calls<PrimaryCalls, WorkerCalls>;
    return {
      count,
      find: (id) => primary.call('find', id, FIND_LIMIT_MS).catch(() => []),
      places: (listener) =>
        new SharedPlaces(listener, count, {
          take: (order) => primary.call('takePlace', order, undefined),
          leave: (order) =>
            void primary.call('leavePlace', order, undefined).catch(() => undefined),
        }),
    };
  }

  #present(): Worker {
    if (this.#worker === undefined) throw new TypeError('the worker was not opened');
    return this.#worker;
  }
}

const FIND_LIMIT_MS = 2_000;
