import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import type { Diagnostic } from '../core/diagnostic.ts';
import type { Position } from './config.ts';
import { findTextTraps, keyText, toData } from './yaml-traps.ts';

/** Keys and indexes from the top of a document to a value. */
export type Path = readonly PropertyKey[];

/** Which end of an entry a position means: its key (of a list entry, the entry) or its value. */
export type Part = 'key' | 'value';

/** One file as plain data that remembers where everything stands. Positions are looked up only when asked for. */
export interface YamlDocument {
  readonly file: string;
  readonly data: unknown;
  /** Of the value at a path; of the innermost thing around it that exists, where it does not. */
  at(path: Path, part?: Part): Position;
  /** How a scalar is written in the file. */
  source(path: Path): string | undefined;
}

export interface ParsedYaml {
  /** undefined: not readable as YAML, so nothing is known of what it defines. */
  readonly document: YamlDocument | undefined;
  readonly faults: readonly Diagnostic[];
}

/**
 * Parses YAML 1.2 without what makes two readers of a file disagree: directives, tags, anchors, aliases, merge and
 * duplicate keys, several documents.
 */
export function parseYaml(file: string, text: string): ParsedYaml {
  const lines = new LineCounter();
  const parsed = parseDocument(text, {
    version: '1.2',
    lineCounter: lines,
    prettyErrors: false,
    // The library's own check compares each key with every other.
    uniqueKeys: false,
    logLevel: 'error',
  });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults: Diagnostic[] = [];
  const report = (offset: number, message: string, remedy: string) => {
    faults.push({ severity: 'fault', at: at(offset), message, remedy });
  };
  if (findTextTraps(text, parsed, report)) return { document: undefined, faults };
  const data = toData(parsed.contents, text, report);
  return { document: new Located(file, data, parsed.contents, at), faults };
}

class Located implements YamlDocument {
  readonly file: string;
  readonly data: unknown;
  private readonly root: Node | null;
  private readonly position: (offset: number) => Position;
  private readonly pairs = new WeakMap<YAMLMap, Map<string, Pair>>();

  constructor(
    file: string,
    data: unknown,
    root: Node | null,
    position: (offset: number) => Position,
  ) {
    this.file = file;
    this.data = data;
    this.root = root;
    this.position = position;
  }

  at(path: Path, part: Part = 'value'): Position {
    let key = this.root;
    let value = this.root;
    for (const step of path) {
      const next = this.step(value, step);
      if (next === undefined) break;
      [key, value] = next;
    }
    const node = part === 'key' || isAbsent(value) ? key : value;
    return this.position(start(node));
  }

  source(path: Path): string | undefined {
    let value = this.root;
    for (const step of path) value = this.step(value, step)?.[1] ?? null;
    return isScalar(value) ? value.source : undefined;
  }

  /** The key and the value that one step of a path leads to. */
  private step(node: Node | null, step: PropertyKey): [Node | null, Node | null] | undefined {
    if (isSeq(node)) {
      const item = node.items[Number(step)] as Node | undefined;
      return item === undefined ? undefined : [item, item];
    }
    if (!isMap(node)) return undefined;
    const pair = this.index(node).get(String(step));
    return pair === undefined ? undefined : [pair.key as Node, pair.value as Node | null];
  }

  private index(map: YAMLMap): Map<string, Pair> {
    const known = this.pairs.get(map);
    if (known !== undefined) return known;
    const index = new Map<string, Pair>();
    for (const pair of map.items) {
      if (isScalar(pair.key)) index.set(keyText(pair.key), pair);
    }
    this.pairs.set(map, index);
    return index;
  }
}

function start(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

function isAbsent(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null && node.source === '');
}
