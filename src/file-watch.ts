import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Loaded } from './config/load.ts';
import { secretRefs } from './config/secret-refs.ts';

const LOOK_MS = 1_000;

/**
 * Calls when any file that a configuration was read from changes, or when one comes or goes beside it. Files are looked
 * at by name, so that an editor's rename and a mount that is swapped as a whole are seen as well.
 */
export class FileWatch {
  readonly #changed: () => void;
  readonly #timer: NodeJS.Timeout;
  #paths: readonly string[] = [];
  #stamp = '';

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** From now on these. What changed since the last look is seen at the next one. */
  watch({ files, config }: Loaded): void {
    const secrets = secretRefs(config).flatMap((ref) => (ref.from === 'file' ? [ref.path] : []));
    const paths = [...files.keys(), ...secrets];
    const watched = [...new Set([...paths, ...paths.map((path) => dirname(path))])].sort();
    if (isDeepStrictEqual(watched, this.#paths)) return;
    const isFirst = this.#paths.length === 0;
    this.#paths = watched;
    // Other files than before: nobody knows whether they changed while they were read, so they are read once more.
    this.#stamp = isFirst ? stampOf(watched) : '';
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const stamp = stampOf(this.#paths);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    this.#changed();
  }
}

function stampOf(paths: readonly string[]): string {
  return paths.map(stampOfOne).join();
}

/** One that is missing or cannot be looked at has a stamp of its own: that it came to that is a change. */
function stampOfOne(path: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(path);
    return `${mtimeMs} ${ino} ${size}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}
