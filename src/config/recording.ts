import type { Environment, Surroundings } from './surroundings.ts';

/**
 * All that a configuration took from outside its own text while it was loaded, so that another process can load the very
 * same one, whatever has become of the files since. Plain values: it can be sent. The environment is left out: processes
 * of one gateway share it.
 */
export interface Recording {
  /** The main file, as it was named. */
  readonly file: string;
  readonly hostname: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What was read, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What patterns matched, by pattern and folder. */
  readonly globs: ReadonlyMap<string, readonly string[]>;
}

/** The same surroundings, and a recording of what is taken from them. */
export function record(
  file: string,
  around: Surroundings,
): { around: Surroundings; recording: Recording } {
  const files = new Map<string, Uint8Array>();
  const globs = new Map<string, readonly string[]>();
  const { hostname, now } = around;
  return {
    recording: { file, hostname, now, files, globs },
    around: {
      ...around,
      readFile: (path) => keep(files, path, () => around.readFile(path)),
      glob: (pattern, folder) =>
        keep(globs, globKey(pattern, folder), () => around.glob(pattern, folder)),
    },
  };
}

/** Surroundings in which a configuration loads as it was recorded. */
export function replay(
  { files, globs, hostname, now }: Recording,
  env: Environment,
): Partial<Surroundings> {
  return {
    env,
    hostname,
    now,
    readFile: (path) => found(files.get(path), path),
    glob: (pattern, folder) => found(globs.get(globKey(pattern, folder)), pattern),
  };
}

function globKey(pattern: string, folder: string): string {
  return `${folder}\0${pattern}`;
}

function keep<T>(map: Map<string, T>, key: string, read: () => T): T {
  const value = map.get(key) ?? read();
  map.set(key, value);
  return value;
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new TypeError(`the recording of the configuration lacks ${what}`);
  return value;
}
