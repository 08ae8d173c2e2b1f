import type { LoadPlan } from './load-plan.ts';
import { nextName, type Tally } from './tally.ts';
import { Wire } from './wire.ts';

/** Well below the notice that a gateway gives: a connection that is used is told when to leave, an idle one is not. */
const KEPT_IDLE_MS = 500;

interface Kept {
  readonly wire: Wire;
  readonly sinceMs: number;
}

/** Requests on kept connections, each of which carries one after the other. Nothing is sent twice. */
export class Requests {
  readonly #plan: LoadPlan;
  readonly #tally: Tally;
  #kept: Kept[] = [];

  constructor(plan: LoadPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
  }

  async one(): Promise<void> {
    const path = `/${nextName()}`;
    const startedMs = Date.now();
    let wire: Wire | undefined;
    try {
      wire = this.#takeKept() ?? (await Wire.open(this.#plan.port));
      wire.write(getRequest(this.#plan, path));
      const { status, closes, body } = await wire.answer();
      if (status !== 200 || body !== path) throw new Error(`${status} ${body.slice(0, 200)}`);
      if (closes) wire.close();
      else this.#kept.push({ wire, sinceMs: Date.now() });
      this.#tally.done('request', startedMs);
    } catch (error) {
      wire?.close();
      this.#tally.failed('request', path, wire, error);
    }
  }

  /** The one that was idle longest, so that none is idle for long. */
  #takeKept(): Wire | undefined {
    const leastMs = Date.now() - KEPT_IDLE_MS;
    while (this.#kept.length > 0) {
      const { wire, sinceMs } = this.#kept.shift() as Kept;
      if (!wire.ended && sinceMs >= leastMs) return wire;
      wire.close();
    }
    return undefined;
  }
}

/** @param more header lines, each with its end */
export function getRequest(
  { httpPort, identity }: LoadPlan,
  path: string,
  more = '',
  host = 'api.localhost',
): string {
  const authority = `${host}:${httpPort}`;
  return `GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\nX-Load: ${identity}\r\n${more}\r\n`;
}
