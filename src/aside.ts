import { constants, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';

/** What a thread is, and for how long it may work. */
export interface AsideOptions {
  readonly limitMs: number;
  /** What there is to say of a thread that ended without an answer. */
  readonly unanswered: () => Error;
  /** Ends it before. */
  readonly signal?: AbortSignal;
}

/**
 * Has a thread of its own do an errand: health checks and exchanges must not wait for what takes long.
 *
 * @param file its source, whose only message is its answer
 * @throws what it throws
 */
export async function runAside<Found>(
  file: URL,
  errand: object,
  { limitMs, unanswered, signal }: AsideOptions,
): Promise<Found> {
  signal?.throwIfAborted();
  const thread = new Worker(file, { workerData: errand });
  const end = () => void thread.terminate();
  const limit = setTimeout(end, limitMs);
  signal?.addEventListener('abort', end);
  try {
    return await new Promise<Found>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
      thread.once('exit', () => reject(unanswered()));
    });
  } finally {
    clearTimeout(limit);
    signal?.removeEventListener('abort', end);
  }
}

/** Beside the module: as a source in a checkout, compiled in the package. */
export function beside(module: string, name: string): URL {
  return new URL(module.endsWith('.ts') ? `${name}.ts` : `${name}.js`, module);
}

/** Of a thread: where cores are few, exchanges come first. On Linux alone is this about the thread, and not the whole process. */
export function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(constants.priority.PRIORITY_LOW);
  } catch {
    // A sandbox that forbids it is no reason to refuse the work, which is only less considerate then.
  }
}
