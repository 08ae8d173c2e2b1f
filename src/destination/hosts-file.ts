import { readFileSync, statSync } from 'node:fs';
import { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { Refusal, UpstreamError } from '../core/refusal.ts';

/** How long an edit of the file may go unnoticed. */
const CHECK_EVERY_MS = 1_000;

/** The names of a hosts(5) file. It is read again when the file changes. */
export class HostsFile {
  readonly #path: string;
  readonly #now: () => number;
  #names: ReadonlyMap<string, readonly Ip[]> = new Map();
  #version = '';
  #checkedAt = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds of a clock that never goes back */
  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  /**
   * The addresses of a name, or undefined when the file does not have it. A file that does not exist has none.
   *
   * @throws UpstreamError `resolve-failed` when the file cannot be read: what it pins may differ from what DNS says.
   */
  get(host: Hostname): readonly Ip[] | undefined {
    if (this.#now() - this.#checkedAt >= CHECK_EVERY_MS) this.#refresh();
    return this.#names.get(host.name);
  }

  #refresh(): void {
    try {
      const stat = statSync(this.#path, { throwIfNoEntry: false });
      const version = stat === undefined ? '' : `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
      if (version !== this.#version) {
        this.#names = version === '' ? new Map() : parseHosts(readFileSync(this.#path, 'utf8'));
        this.#version = version;
      }
      this.#checkedAt = this.#now();
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new UpstreamError(
        'resolve-failed',
        `${this.#path} cannot be read (${why}): make it readable for the gateway`,
        { cause: error },
      );
    }
  }
}

/** Lines and names that are not plainly valid are passed over, as every resolver does: the file has other readers too. */
export function parseHosts(text: string): ReadonlyMap<string, readonly Ip[]> {
  const names = new Map<string, Ip[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...words] = line.replace(/#.*/s, '').trim().split(/\s+/);
    const ip = Ip.parse(address);
    if (ip === undefined) continue;
    for (const name of words.map(nameOf)) {
      if (name === undefined) continue;
      const ips = names.get(name);
      if (ips === undefined) names.set(name, [ip]);
      else ips.push(ip);
    }
  }
  return names;
}

function nameOf(word: string): string | undefined {
  try {
    return Hostname.parse(word).name;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}
