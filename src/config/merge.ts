import { type Diagnostic, positionText, quote } from '../core/diagnostic.ts';
import type { Position } from './config.ts';
import { kindOf, type Located, unknownKey } from './explain.ts';
import type { Source } from './sources.ts';
import type { Part, Path } from './yaml-document.ts';

const HEAD: readonly string[] = ['version', 'include', 'owner'];
const LISTS: readonly string[] = ['rules', 'expect'];
const SCALARS: readonly string[] = ['enforcement'];

type Entries = Record<string, unknown>;

/**
 * The sections of all files as one: maps joined, lists one behind the other. A path into it leads back to the file
 * that a value came from.
 */
export class Merged implements Located {
  readonly data: Entries = {};
  private readonly sources: readonly Source[];
  private readonly faults: Diagnostic[];
  /** Which file has a section first, by section; a key of a map, by section and key. */
  private readonly owners = new Map<string, { source: Source; keys: Map<string, Source> }>();
  private readonly items = new Map<string, { source: Source; index: number }[]>();

  /**
   * @param sources at least one; the first is the main file
   * @param known the names of all sections
   * @param faults takes unknown sections, sections of the wrong kind, and names that are defined twice
   */
  constructor(sources: readonly Source[], known: readonly string[], faults: Diagnostic[]) {
    this.sources = sources;
    this.faults = faults;
    for (const source of sources) {
      for (const [section, value] of Object.entries(source.document.data ?? {})) {
        if (HEAD.includes(section)) continue;
        if (known.includes(section)) this.add(source, section, value);
        else this.report(source, [section], unknownKey(section, [...HEAD, ...known]));
      }
    }
  }

  at(path: Path, part?: Part): Position {
    const { source, local } = this.origin(path);
    return source.document.at(local, part);
  }

  source(path: Path): string | undefined {
    const { source, local } = this.origin(path);
    return source.document.source(local);
  }

  /** The folder that paths at this place are relative to. */
  folder(path: Path): string {
    return this.origin(path).source.folder;
  }

  /** The owner of the limited file that this place is in. */
  fileOwner(path: Path): string | undefined {
    return this.origin(path).source.owner;
  }

  map(section: string): Readonly<Entries> {
    return (this.data[section] ?? {}) as Entries;
  }

  list(section: string): readonly unknown[] {
    return (this.data[section] ?? []) as unknown[];
  }

  private origin(path: Path): { source: Source; local: Path } {
    const [section, step, ...rest] = path;
    const item = this.items.get(String(section))?.[Number(step)];
    if (item !== undefined) {
      return { source: item.source, local: [section as string, item.index, ...rest] };
    }
    const owner = this.owners.get(String(section));
    const source = owner?.keys.get(String(step)) ?? owner?.source ?? this.sources[0];
    return { source: source as Source, local: path };
  }

  private add(source: Source, section: string, value: unknown): void {
    const first = this.owners.get(section);
    if (first === undefined) this.owners.set(section, { source, keys: new Map() });
    if (value === null) {
      const message = `${quote(section)} has no value`;
      this.report(source, [section], { message, remedy: 'give it one, or remove the key' });
    } else if (SCALARS.includes(section)) {
      if (first !== undefined) this.reportTwice(source, [section], first.source);
      else this.data[section] = value;
    } else if (LISTS.includes(section)) {
      if (Array.isArray(value)) this.addItems(source, section, value);
      else this.reportKind(source, section, 'a list', value);
    } else if (typeof value === 'object' && !Array.isArray(value)) {
      this.addEntries(source, section, value as Entries);
    } else {
      this.reportKind(source, section, 'a map', value);
    }
  }

  private addItems(source: Source, section: string, values: readonly unknown[]): void {
    const list = this.list(section) as unknown[];
    this.data[section] = list;
    const items = this.items.get(section) ?? [];
    this.items.set(section, items);
    for (const [index, value] of values.entries()) {
      list.push(value);
      items.push({ source, index });
    }
  }

  private addEntries(source: Source, section: string, values: Entries): void {
    const map = this.map(section) as Entries;
    this.data[section] = map;
    const keys = this.owners.get(section)?.keys ?? new Map<string, Source>();
    for (const [key, value] of Object.entries(values)) {
      const other = keys.get(key);
      if (other !== undefined) {
        this.reportTwice(source, [section, key], other);
        continue;
      }
      keys.set(key, source);
      map[key] = value;
    }
  }

  private reportTwice(source: Source, path: Path, other: Source): void {
    const message = `${quote(path.join('.'))} is also at ${positionText(other.document.at(path, 'key'))}`;
    this.report(source, path, { message, remedy: 'keep one of the two' });
  }

  private reportKind(source: Source, section: string, wanted: string, value: unknown): void {
    const message = `${quote(section)} must be ${wanted}, not ${kindOf(value)}`;
    this.report(source, [section], { message, remedy: `write ${wanted}` });
  }

  private report(source: Source, path: Path, texts: { message: string; remedy: string }): void {
    this.faults.push({ severity: 'fault', at: source.document.at(path, 'key'), ...texts });
  }
}
