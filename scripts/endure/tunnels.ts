import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { LoadPlan } from './load-plan.ts';
import { nextName, type Tally } from './tally.ts';
import { statusIn, Wire } from './wire.ts';

const ROUNDS = 3;
const LONGEST_PAUSE_MS = 100;
const MOST_BYTES = 32 * 1024;
/** One in so many is TLS. */
const TLS_EVERY = 4;
const LONG_ROUND_MS = 500;
const LONG_ROUND_BYTES = 64;
const REOPEN_MS = 200;

/** Tunnels to servers that echo: what comes back must be what was sent. */
export class Tunnels {
  readonly #plan: LoadPlan;
  readonly #tally: Tally;
  readonly #ca: Buffer;
  #opened = 0;

  constructor(plan: LoadPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
    this.#ca = readFileSync(plan.caFile);
  }

  /** Opened, used, closed. */
  async one(): Promise<void> {
    const isTls = this.#opened++ % TLS_EVERY === 0;
    const host = `${nextName()}.${isTls ? 'tls' : 'raw'}.localhost`;
    const startedMs = Date.now();
    let wire: Wire | undefined;
    try {
      wire = await Wire.open(this.#plan.port);
      await connectThrough(wire, this.#plan, host, isTls ? this.#plan.tlsPort : this.#plan.rawPort);
      const inner = isTls ? await wire.secure(host, this.#ca) : wire;
      await greet(inner, host);
      for (let round = 0; round < ROUNDS; round++) {
        await echo(inner, randomInt(1, MOST_BYTES));
        await wait(randomInt(LONGEST_PAUSE_MS));
      }
      await inner.end();
      this.#tally.done('tunnel', startedMs);
    } catch (error) {
      wire?.close();
      this.#tally.failed('tunnel', host, wire, error);
    }
  }

  /** Opened, and used now and then for as long as it lasts; then the next. */
  async long(): Promise<never> {
    for (;;) {
      const host = `${nextName()}.raw.localhost`;
      let wire: Wire | undefined;
      try {
        wire = await Wire.open(this.#plan.port);
        await connectThrough(wire, this.#plan, host, this.#plan.rawPort);
        await greet(wire, host);
        for (;;) {
          const startedMs = Date.now();
          await echo(wire, LONG_ROUND_BYTES);
          this.#tally.done('long tunnel', startedMs);
          await wait(LONG_ROUND_MS);
        }
      } catch (error) {
        wire?.close();
        this.#tally.failed('long tunnel', host, wire, error);
        await wait(REOPEN_MS);
      }
    }
  }
}

/** @throws when the answer is anything but 200 */
export async function connectThrough(
  wire: Wire,
  { identity }: LoadPlan,
  host: string,
  port: number,
): Promise<void> {
  const authority = `${host}:${port}`;
  wire.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Load: ${identity}\r\n\r\n`);
  const head = await wire.head();
  if (statusIn(head) !== 200) throw new Error(head.split('\r\n')[0]);
}

/** Tells the upstream what it shall remember. */
async function greet(wire: Wire, host: string): Promise<void> {
  await exchange(wire, Buffer.from(`${host}\n`));
}

function echo(wire: Wire, count: number): Promise<void> {
  return exchange(wire, randomBytes(count));
}

async function exchange(wire: Wire, bytes: Buffer): Promise<void> {
  wire.write(bytes);
  const back = await wire.bytes(bytes.length);
  if (!back.equals(bytes)) throw new Error('what came back is not what was sent');
}
