/**
 * Loaded into each process of a gateway (`--import`), tells how long its event loop stood still: ten times a second, a line
 * goes to the file that BENCH_STALLS names. It has the process id, the longest time between two turns in milliseconds, and
 * the most CPU time of the thread between two turns: what its own work takes, whoever else has the core.
 */
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const TURN_MS = 1;
const EVERY_MS = 100;

class Stalls {
  readonly #file: string;
  #turned = performance.now();
  #told = this.#turned;
  #cpu = cpuMs();
  #longest = 0;
  #most = 0;

  constructor(file: string) {
    this.#file = file;
  }

  watch(): void {
    setTimeout(() => this.#turn(), TURN_MS).unref();
  }

  #turn(): void {
    const [now, cpu] = [performance.now(), cpuMs()];
    this.#longest = Math.max(this.#longest, now - this.#turned - TURN_MS);
    this.#most = Math.max(this.#most, cpu - this.#cpu);
    if (now - this.#told > EVERY_MS) {
      appendFileSync(this.#file, `${process.pid} ${this.#longest} ${this.#most}\n`);
      [this.#told, this.#longest, this.#most] = [now, 0, 0];
    }
    [this.#turned, this.#cpu] = [now, cpu];
    this.watch();
  }
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const file = process.env.BENCH_STALLS;
if (file !== undefined && isMainThread) new Stalls(file).watch();
