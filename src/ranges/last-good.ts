import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
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

/** The last good copy of each list, on disk. */
export class LastGoodCopies {
  readonly #dir: string;

  /** @param dir is created where it is missing */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** What is torn or of another list counts as missing. */
  async get(source: PublishedSetConfig): Promise<LastGood | undefined> {
    const text = await readFile(this.#path(source), 'utf8').catch(absent);
    const copy = shape.safeParse(jsonOf(text ?? '')).data;
    if (copy?.place !== placeOf(source) || copy.sha256 !== sha256(copy.text)) return undefined;
    return { etag: copy.etag, seenMs: copy.seenMs, text: copy.text };
  }

  async put(source: PublishedSetConfig, copy: LastGood): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const kept = { place: placeOf(source), ...copy, sha256: sha256(copy.text) };
    await replaceFile(this.#path(source), `${JSON.stringify(kept)}\n`, 0o600);
  }

  #path(source: PublishedSetConfig): string {
    return join(this.#dir, `${source.provider}-${sha256(placeOf(source)).slice(0, 16)}.json`);
  }
}

/** One list, by whatever sets it is used. */
export function placeOf({ provider, from }: PublishedSetConfig): string {
  return `${provider} ${from.kind === 'url' ? from.url : from.path}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
