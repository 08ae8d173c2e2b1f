import { globSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { type Diagnostic, quote } from '../core/diagnostic.ts';
import type { Ip } from '../core/ip.ts';
import type { Position } from './config.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a configuration takes from outside its files; handed in, so that a test or another process can differ. */
export interface Surroundings {
  readonly env: Environment;
  /** Stands for the address of an exit whose variable is not set; undefined: that is a fault. */
  readonly unsetExit: Ip | undefined;
  readonly hostname: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readFile(path: string): Uint8Array;
  /**
   * Files that a pattern matches, relative to a folder unless the pattern is absolute. Hidden ones match none: editors'
   * lock files, and the generations that Kubernetes keeps beside a mounted file.
   */
  glob(pattern: string, folder: string): readonly string[];
}

export function ownSurroundings(): Surroundings {
  return {
    env: process.env,
    unsetExit: undefined,
    hostname: hostname(),
    now: Date.now(),
    readFile: (path) => readFileSync(path),
    glob: (pattern, folder) => globSync(pattern, { cwd: folder }),
  };
}

/** Reads the files of one configuration: each once, and all faults at the place that names the file. */
export class FileReader {
  /** What was read, by path. */
  readonly texts = new Map<string, string>();
  /** Takes what is wrong with files. */
  readonly faults: Diagnostic[];
  private readonly around: Surroundings;

  constructor(around: Surroundings, faults: Diagnostic[]) {
    this.around = around;
    this.faults = faults;
  }

  read(path: string, at: Position): string | undefined {
    const known = this.texts.get(path);
    if (known !== undefined) return known;
    try {
      const bytes = this.around.readFile(path);
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      this.texts.set(path, text);
      return text;
    } catch (error) {
      const [message, remedy] = readFault(error);
      this.faults.push({ severity: 'fault', at, message: `${quote(path)} ${message}`, remedy });
      return undefined;
    }
  }
}

const READ_FAULTS: Readonly<Record<string, readonly [string, string]>> = {
  ENOENT: ['does not exist', 'create it, or correct the path'],
  EACCES: ['may not be read', 'give this process the right to read it'],
  EISDIR: ['is a folder', 'name a file'],
  ERR_ENCODING_INVALID_ENCODED_DATA: ['is not UTF-8 text', 'save it as UTF-8'],
};

function readFault(error: unknown): readonly [string, string] {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) throw error;
  return READ_FAULTS[code] ?? [`cannot be read (${code})`, 'make it a readable file'];
}

/** A path as it stands in a file, seen from where that file is. */
export function besides(folder: string, path: string): string {
  return isAbsolute(path) ? path : join(folder, path);
}
