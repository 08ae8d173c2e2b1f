import { readdirSync, readFileSync } from 'node:fs';
import {
  constants,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
} from 'node:perf_hooks';
import { Durations } from './durations.ts';
import { counter, gauge, type Series } from './series.ts';

const LAG_RESOLUTION_MS = 10;
/** Workers are read every second: a scrape is to see more than the last one. */
const LAG_WINDOW_MS = 15_000;
const NS_PER_S = 1e9;
const NS_PER_MS = 1e6;
const US_PER_S = 1e6;

const GC_KINDS: ReadonlyMap<unknown, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

/**
 * What a Node process is told by: CPU, memory, descriptors, event loop, garbage collection. The names are those that dashboards
 * for Node know (prom-client's, which is not loaded here: it takes five megabytes of every worker).
 */
export class ProcessMetrics {
  readonly #labels: { readonly process: string };
  readonly #startedMs = performance.timeOrigin;
  readonly #maxFds = maxFds();
  readonly #lag = new Lag();
  readonly #gc = new Durations<'kind' | 'process'>({
    name: 'nodejs_gc_duration_seconds',
    help: 'Garbage collections: minor, major, incremental or weakcb.',
  });

  /** @param process tells the processes of a gateway apart where adding up makes no sense */
  constructor(process: string) {
    this.#labels = { process };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#collected(entry);
    }).observe({ entryTypes: ['gc'] });
  }

  get series(): readonly Series[] {
    return [...this.#cpu(), ...this.#memory(), ...this.#files(), ...this.#eventLoop(), this.#gc];
  }

  #collected({ duration, detail }: PerformanceEntry & { readonly detail?: unknown }): void {
    const kind = GC_KINDS.get((detail as { readonly kind?: unknown } | undefined)?.kind) ?? 'other';
    this.#gc.of(kind, () => ({ kind, ...this.#labels })).observe(duration);
  }

  #cpu(): Series[] {
    const { user, system } = process.cpuUsage();
    return [
      this.#counter('process_cpu_user_seconds_total', 'User CPU time.', user / US_PER_S),
      this.#counter('process_cpu_system_seconds_total', 'System CPU time.', system / US_PER_S),
      this.#counter('process_cpu_seconds_total', 'CPU time.', (user + system) / US_PER_S),
      this.#gauge(
        'process_start_time_seconds',
        'When the process began, since the epoch.',
        this.#startedMs / 1000,
      ),
    ];
  }

  #memory(): Series[] {
    const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
    return [
      this.#gauge('process_resident_memory_bytes', 'Resident memory.', rss),
      this.#gauge('nodejs_heap_size_total_bytes', 'The heap of JavaScript.', heapTotal),
      this.#gauge('nodejs_heap_size_used_bytes', 'What is used of it.', heapUsed),
      this.#gauge(
        'nodejs_external_memory_bytes',
        'Memory that JavaScript holds elsewhere.',
        external,
      ),
    ];
  }

  #files(): Series[] {
    if (this.#maxFds === undefined) return [];
    const open = readdirSync('/proc/self/fd').length;
    return [
      this.#gauge('process_open_fds', 'Open file descriptors.', open),
      this.#gauge('process_max_fds', 'How many may be open.', this.#maxFds),
    ];
  }

  #eventLoop(): Series[] {
    return Object.entries(this.#lag.read()).map(([which, seconds]) =>
      this.#gauge(
        `nodejs_eventloop_lag_${which}_seconds`,
        'How late the event loop comes to a timer: of the last quarter of a minute that is over.',
        seconds,
      ),
    );
  }

  #counter(name: string, help: string, value: number): Series {
    return counter({ name, help }, () => [{ labels: this.#labels, value }]);
  }

  #gauge(name: string, help: string, value: number): Series {
    return gauge({ name, help }, () => [{ labels: this.#labels, value }], 'max');
  }
}

/** How late timers are, in windows of some seconds. */
class Lag {
  readonly #delays = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #sinceMs = performance.now();
  #last: Readonly<Record<string, number>> | undefined;

  constructor() {
    this.#delays.enable();
  }

  /** Seconds, of the last window that is over; of the first one as far as it goes. */
  read(): Readonly<Record<string, number>> {
    if (performance.now() - this.#sinceMs < LAG_WINDOW_MS) return this.#last ?? this.#measured();
    this.#last = this.#measured();
    this.#delays.reset();
    this.#sinceMs = performance.now();
    return this.#last;
  }

  #measured(): Readonly<Record<string, number>> {
    const { mean, max } = this.#delays;
    const percentile = (part: number) => lateness(this.#delays.percentile(part));
    return {
      mean: lateness(mean),
      max: lateness(max),
      p50: percentile(50),
      p90: percentile(90),
      p99: percentile(99),
    };
  }
}

/** What is measured is how long it took from one timer to the next. */
function lateness(nanoseconds: number): number {
  return Math.max(0, (nanoseconds || 0) - LAG_RESOLUTION_MS * NS_PER_MS) / NS_PER_S;
}

/** undefined where the system does not tell. */
function maxFds(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]) || undefined;
  } catch {
    return undefined;
  }
}
