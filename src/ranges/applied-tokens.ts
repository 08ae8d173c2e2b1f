import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { jsonOf } from '../core/json.ts';
import { absent, replaceFile } from './replace-file.ts';

const shape = z.record(z.string(), z.string().regex(/^\d{1,20}$/));

/** Which version of each list was applied last, on disk, for whoever does not go on running. */
export class AppliedTokens {
  readonly #path: string;

  /** @param path of a file, whose folder is created where it is missing */
  constructor(path: string) {
    this.#path = path;
  }

  /** What is torn counts as missing: then it is applied once more. @param url of the list */
  async get(url: string): Promise<bigint | undefined> {
    const token = (await this.#read())[url];
    return token === undefined ? undefined : BigInt(token);
  }

  async put(tokens: ReadonlyMap<string, bigint>): Promise<void> {
    const known = await this.#read();
    for (const [url, token] of tokens) known[url] = String(token);
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    await replaceFile(this.#path, `${JSON.stringify(known)}\n`, 0o600);
  }

  async #read(): Promise<Record<string, string>> {
    const text = await readFile(this.#path, 'utf8').catch(absent);
    return shape.safeParse(jsonOf(text ?? '')).data ?? {};
  }
}
