import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PublishedSetConfig } from '../config/ranges-config.ts';
import { jsonOf } from '../core/json.ts';
import { absent, replaceFile } from './replace-file.ts';

const shape = z.object({
  place: z.string(),
  etag: z.string().optional(),
  /** When it was last found to be what its publisher has, in milliseconds since the epoch. */
  seenMs: z.number(),
  sha256: z.string(),
  text: z.string(),
});

/** A list as it was when it was last found good. */
export interface LastGood {
  readonly etag?: string | undefined;
  readonly seenMs: number;
  readonly text: string;
}

/** Where copies of lists are. */
export interface Copies {
  /** What is torn or of another list counts as missing. */
  get(source: PublishedSetConfig): Promise<LastGood | undefined>;
  put(source: PublishedSetConfig, copy: LastGood): Promise<void>;
}

/** The last good copy of each list, on disk. */
export class LastGoodCopies implements Copies {
  readonly #dir: string;

  /** @param dir is created where it is missing */
  constructor(dir: string) {
    this.#dir = dir;
  }

  async get(source: PublishedSetConfig): Promise<LastGood | undefined> {
    const text = await readFile(this.#path(source), 'utf8').catch(absent);
    const copy = shape.safeParse(jsonOf(text ?? '')).data;
    if (copy?.place !== placeOf(source) || copy.sha256 !== sha256(copy.text)) return undefined;
    return { etag: copy.etag, seenMs: copy.seenMs, text: copy.text };
  }

  put(source: PublishedSetConfig, copy: LastGood): Promise<void> {
    return this.#write(this.#path(source), source, copy);
  }

  /** The same copies, but what is put there is a draft until it is accepted. */
  drafts(): Copies {
    return {
      get: (source) => this.get(source),
      put: (source, copy) => this.#write(this.#draft(source), source, copy),
    };
  }

  /** What was put among the drafts is the last good copy from now on. */
  async accept(source: PublishedSetConfig): Promise<void> {
    await rename(this.#draft(source), this.#path(source));
  }

  async discard(source: PublishedSetConfig): Promise<void> {
    await rm(this.#draft(source), { force: true });
  }

  async #write(path: string, source: PublishedSetConfig, copy: LastGood): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const kept = { place: placeOf(source), ...copy, sha256: sha256(copy.text) };
    await replaceFile(path, `${JSON.stringify(kept)}\n`, 0o600);
  }

  /** Of this process: another gateway, which is about to take its place, may have one of its own. */
  #draft(source: PublishedSetConfig): string {
    return `${this.#path(source)}.${process.pid}.draft`;
  }

  #path(source: PublishedSetConfig): string {
    return join(this.#dir, `${source.provider}-${sha256(placeOf(source)).slice(0, 16)}.json`);
  }
}

/** Where the last good copies of lists are. */
export function listsDir({ gateway }: { readonly gateway: { readonly dataDir: string } }): string {
  return join(gateway.dataDir, 'ranges', 'lists');
}

/** One list, by whatever sets it is used. */
export function placeOf({ provider, from }: PublishedSetConfig): string {
  return `${provider} ${from.kind === 'url' ? from.url : from.path}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
