import { type Loaded, load } from '../../src/config/load.ts';
import type { Surroundings } from '../../src/config/surroundings.ts';
import { ConfigError, diagnosticText } from '../../src/core/diagnostic.ts';

export type Files = Readonly<Record<string, string | Uint8Array>>;

const DAY = Date.parse('2026-06-01T12:00:00Z');

/** Loads `sekisho.yaml` out of files in memory. Nothing comes from this machine or its clock. */
export function loadFiles(files: Files, env: Surroundings['env'] = {}): Loaded {
  return load('sekisho.yaml', {
    env,
    hostname: 'host-1',
    now: DAY,
    readFile: (path) => {
      const content = files[path];
      if (content === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' });
      return typeof content === 'string' ? new TextEncoder().encode(content) : content;
    },
    glob: (pattern) => {
      const [before, after] = pattern.split('*') as [string, string];
      return Object.keys(files).filter((path) => path.startsWith(before) && path.endsWith(after));
    },
  });
}

export function loadText(yaml: string, env: Surroundings['env'] = {}): Loaded {
  return loadFiles({ 'sekisho.yaml': `version: 1\n${yaml}` }, env);
}

/** The faults of a configuration as `file:line:column: message; remedy`. */
export function faultsOf(files: Files, env: Surroundings['env'] = {}): string[] {
  try {
    loadFiles(files, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(diagnosticText);
    throw error;
  }
  return [];
}

export function warningsOf(yaml: string): string[] {
  return loadText(yaml).warnings.map(diagnosticText);
}
