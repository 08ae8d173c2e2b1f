import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { compareText, type Diagnostic } from '../core/diagnostic.ts';
import type { Position } from './config.ts';
import { explain } from './explain.ts';
import { line, says } from './shape.ts';
import { besides, type FileReader, type Surroundings } from './surroundings.ts';
import { parseYaml, type YamlDocument } from './yaml-document.ts';

/** One file of a configuration. */
export interface Source {
  readonly document: YamlDocument;
  /** Absolute; paths in the file are relative to it. */
  readonly folder: string;
  /** Set: the file is limited, and what it defines belongs to this owner. */
  readonly owner: string | undefined;
}

export interface Sources {
  readonly list: readonly Source[];
  /** False when a file could not be read or parsed, so that what it defines is unknown. */
  readonly complete: boolean;
}

/** What stands in a file beside its sections. */
export const headShape = {
  version: z.literal(1, {
    error: says('this is not a version that can be read', 'write version: 1'),
  }),
  include: z.array(line).optional(),
  owner: line.optional(),
};

const mainHead = z.object({
  ...headShape,
  owner: z
    .never({
      error: says(
        'the main file belongs to nobody in particular',
        'move owner to an included file',
      ),
    })
    .optional(),
});
const includedHead = z.object({
  version: headShape.version.optional(),
  include: z
    .never({
      error: says('an included file cannot include others', 'include them in the main file'),
    })
    .optional(),
  owner: headShape.owner,
});

/** Reads the main file and those it includes. */
export function readSources(
  file: string,
  around: Surroundings,
  reader: FileReader,
  faults: Diagnostic[],
): Sources {
  const start: Position = { file, line: 1, column: 1 };
  const main = readDocument(file, start, reader, faults);
  if (main === undefined) return { list: [], complete: false };
  const head = mainHead.safeParse(main.data ?? {});
  if (!head.success) explain(head.error.issues, main, faults);
  const list: Source[] = [{ document: main, folder: resolve(dirname(file)), owner: undefined }];
  let complete = true;
  for (const { path, at } of findIncluded(main, around)) {
    const document = readDocument(path, at, reader, faults);
    if (document === undefined) complete = false;
    else list.push(readIncluded(document, faults));
  }
  return { list, complete };
}

function readDocument(
  path: string,
  at: Position,
  reader: FileReader,
  faults: Diagnostic[],
): YamlDocument | undefined {
  const text = reader.read(path, at);
  if (text === undefined) return undefined;
  const parsed = parseYaml(path, text);
  for (const fault of parsed.faults) faults.push(fault);
  const data = parsed.document?.data ?? {};
  if (typeof data === 'object' && !Array.isArray(data)) return parsed.document;
  faults.push({
    severity: 'fault',
    at: { file: path, line: 1, column: 1 },
    message: 'the file is not a map of sections',
    remedy: 'begin with version: 1',
  });
  return undefined;
}

function readIncluded(document: YamlDocument, faults: Diagnostic[]): Source {
  const head = includedHead.safeParse(document.data ?? {});
  if (!head.success) explain(head.error.issues, document, faults);
  const written = (document.data as { owner?: unknown } | null)?.owner;
  return {
    document,
    folder: resolve(dirname(document.file)),
    // A faulty owner limits all the same.
    owner: written === undefined ? undefined : String(written),
  };
}

interface Included {
  readonly path: string;
  readonly at: Position;
}

/** Included files in a fixed order, each once. A pattern may match nothing. */
function findIncluded(main: YamlDocument, around: Surroundings): Included[] {
  const written = (main.data as { include?: unknown } | null)?.include;
  const folder = dirname(main.file);
  const found = new Map<string, Included>();
  for (const [i, pattern] of (Array.isArray(written) ? written : []).entries()) {
    if (typeof pattern !== 'string') continue;
    const at = main.at(['include', i]);
    const isGlob = /[*?[{]/.test(pattern);
    const paths = isGlob ? around.glob(pattern, folder) : [pattern];
    for (const path of [...paths].sort(compareText)) {
      const full = besides(folder, path);
      if (resolve(full) !== resolve(main.file) && !found.has(resolve(full))) {
        found.set(resolve(full), { path: full, at });
      }
    }
  }
  return [...found.values()];
}
