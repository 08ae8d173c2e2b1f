import type { OwnEvent } from './audit/event.ts';
import type { CountedHead } from './audit/segment.ts';
import type { Candidate } from './candidate.ts';
import type { Bind } from './config/config.ts';
import { Ip } from './core/ip.ts';
import type { BoundAddress } from './destination/own-addresses.ts';
import type { InForce } from './in-force.ts';
import type { ForwardProxyListener } from './listener/forward-proxy/listener.ts';
import type { MetricSnapshot } from './metrics/snapshot.ts';
import { buildParts, type Parts, type PartsOptions } from './parts.ts';
import { createListener } from './serving.ts';
import { inSlices } from './slices.ts';
import type { WorkerState, Workers } from './workers.ts';

/** What serves exchanges within one process. */
export class Worker implements Workers {
  readonly parts: Parts;
  readonly #listeners = new Map<string, ForwardProxyListener>();
  readonly #startedAt = new Date().toISOString();
  #state: WorkerState['state'] = 'starting';
  #next: InForce | undefined;

  private constructor(parts: Parts) {
    this.parts = parts;
  }

  /** @throws SekishoError naming what cannot be had: the audit directory, a log, a certificate */
  static async open(inForce: InForce, options: PartsOptions): Promise<Worker> {
    const worker = new Worker(await buildParts(inForce, options));
    try {
      for (const { name } of worker.parts.config.listeners) {
        worker.#listeners.set(name, createListener(worker.parts, name));
      }
      return worker;
    } catch (error) {
      await worker.close();
      throw error;
    }
  }

  async start(own: readonly Bind[]): Promise<ReadonlyMap<string, readonly Bind[]>> {
    this.shun(own);
    const bound = new Map<string, readonly Bind[]>();
    for (const { name, bind } of this.parts.config.listeners) {
      const binds: Bind[] = [];
      for (const one of bind) binds.push((await this.listener(name).listen(one)).bind);
      this.shun(binds);
      bound.set(name, binds);
    }
    this.#state = 'accepting';
    return bound;
  }

  listener(name: string): ForwardProxyListener {
    return this.#listeners.get(name) as ForwardProxyListener;
  }

  /** The gateway listens there: nobody is to be led there. */
  shun(own: readonly Bind[]): void {
    for (const { ip, port } of own.map(boundAddress)) {
      const known = this.parts.bound.some((bound) => bound.port === port && bound.ip.equals(ip));
      if (!known) this.parts.bound.push({ ip, port });
    }
  }

  states(): readonly WorkerState[] {
    const { pid } = process;
    const connections = this.parts.metrics.connections.allOpen;
    const [state, startedAt] = [this.#state, this.#startedAt];
    return [
      {
        number: 1,
        pid,
        state,
        startedAt,
        restarts: 0,
        connections,
        heardAt: new Date().toISOString(),
      },
    ];
  }

  /** It goes with the primary. */
  onLost(): void {}

  async prepare({ inForce }: Pick<Candidate, 'inForce'>): Promise<void> {
    this.#next = inForce;
  }

  async swap(): Promise<number> {
    const { parts } = this;
    if (this.#next === undefined) throw new TypeError('nothing was prepared');
    parts.inForce = this.#next;
    this.#next = undefined;
    const { config, digest } = parts.inForce;
    parts.log.level = config.gateway.log;
    parts.recorder.adopt({
      policy: digest,
      owned: config.networks.owned,
      onFailure: config.audit.onFailure,
    });
    return inSlices(parts.tunnels.endingDenied(parts.inForce, Date.now()));
  }

  discard(): void {
    this.#next = undefined;
  }

  note(event: OwnEvent): Promise<void> {
    return this.parts.recorder.note(event);
  }

  async heads(): Promise<readonly CountedHead[]> {
    return this.parts.writer.heads;
  }

  forget(segments: readonly string[]): void {
    this.parts.writer.forget(segments);
  }

  find(id: string): readonly string[] {
    return this.parts.recent.find(id);
  }

  async metrics(): Promise<readonly MetricSnapshot[]> {
    return [await this.snapshot()];
  }

  snapshot(): Promise<MetricSnapshot> {
    return this.parts.metrics.snapshot();
  }

  async reopenLogs(): Promise<void> {
    await Promise.all(this.parts.squidLogs.map((squidLog) => squidLog.reopen()));
  }

  leave(): void {
    this.parts.leaving = true;
  }

  async drain(limitMs: number): Promise<void> {
    this.#state = 'draining';
    this.leave();
    await Promise.all([...this.#listeners.values()].map((listener) => listener.drain(limitMs)));
    // One whose client is gone may still wait for DNS or a dial, within their limits; its outcome belongs on record.
    await this.parts.exchanges.ended();
  }

  async close(): Promise<void> {
    await this.drain(0);
    const { pool, resolver, recorder, writer, squidLogs, telemetry } = this.parts;
    pool.close();
    resolver.close();
    recorder.close();
    await writer.close();
    await Promise.all(squidLogs.map((squidLog) => squidLog.close()));
    await telemetry.close();
  }
}

function boundAddress({ host, port }: Bind): BoundAddress {
  return { ip: Ip.parse(host) as Ip, port };
}
