import { globSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface Import {
  /** As it stands in the source, or the imported file relative to `src/` where it is one of ours. */
  readonly from: string;
  readonly ours: boolean;
  /** `import type`: gone before anything runs. */
  readonly typeOnly: boolean;
  /** `import()`: loaded by those alone who come to it. */
  readonly lazy: boolean;
  /** The names in braces; empty for a namespace, default or side-effect import. */
  readonly names: readonly string[];
}

export interface Source {
  /** Relative to `src/`, with slashes. */
  readonly path: string;
  /** The first folder, or '' for a file directly in `src/`. */
  readonly folder: string;
  /** The code without comments and without what stands in strings. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Every file of `src/` that is no test. */
export function readSources(): Source[] {
  const paths = globSync('**/*.ts', { cwd: join(ROOT, 'src') }).map((path) =>
    path.replaceAll('\\', '/'),
  );
  return paths
    .filter((path) => !path.endsWith('.test.ts'))
    .sort()
    .map((path) => parseSource(path, readFileSync(join(ROOT, 'src', path), 'utf8')));
}

export function parseSource(path: string, text: string): Source {
  const folder = path.includes('/') ? (path.split('/')[0] as string) : '';
  return { path, folder, code: withoutWords(text), imports: importsOf(path, text) };
}

// The formatter puts every statement at the start of a line, ends it with a semicolon and quotes with one tick.
const STATEMENT =
  /^(?:import|export)\s+(?<type>type\s+)?(?:(?<clause>[^;'"=()]*?)\s+from\s+)?'(?<from>[^']+)';/gm;
const DYNAMIC = /\bimport\(\s*'(?<from>[^']+)'/g;

function importsOf(path: string, text: string): Import[] {
  const eager = [...text.matchAll(STATEMENT)].map(({ groups }) => ({ groups, lazy: false }));
  const lazy = [...text.matchAll(DYNAMIC)].map(({ groups }) => ({ groups, lazy: true }));
  return [...eager, ...lazy].map(({ groups, lazy }) => {
    const { type, clause = '', from } = groups as { type?: string; clause?: string; from: string };
    const ours = from.startsWith('.');
    return {
      from: ours ? posix.join(dirname(path), from) : from,
      ours,
      typeOnly: type !== undefined,
      lazy,
      names: (/\{([^}]*)\}/.exec(clause)?.[1] ?? '')
        .split(',')
        .map((name) =>
          name
            .trim()
            .replace(/^type\s+/, '')
            .replace(/\s+as\s.*$/s, ''),
        )
        .filter((name) => name !== ''),
    };
  });
}

// Alternatives in the order in which they shadow one another: whichever opens first, ends first.
const WORDS = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;

function withoutWords(text: string): string {
  return text.replace(WORDS, (words) => (words.startsWith('/') ? '' : "''"));
}
