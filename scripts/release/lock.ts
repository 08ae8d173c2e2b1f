import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package as a lock file of npm (version 3) pins it. */
export interface Locked {
  readonly name: string;
  readonly version: string;
  /** SHA-512 of its tarball, in hexadecimal. */
  readonly sha512: string;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

interface LockEntry {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
}

/**
 * @param lock the text of a lock file
 * @returns the packages that come from a registry, by their place in the tree; neither the root nor its workspaces
 */
export function readLock(lock: string): Map<string, Locked> {
  const { packages } = JSON.parse(lock) as Lock;
  const locked = Object.entries(packages).flatMap(([place, entry]): [string, Locked][] => {
    const { name = nameAt(place), version = '', integrity } = entry;
    return integrity === undefined ? [] : [[place, { name, version, sha512: hex(integrity) }]];
  });
  return new Map(locked);
}

/** As in SBOM and provenance: https://github.com/package-url/purl-spec */
export function packageUrl({ name, version }: Pick<Locked, 'name' | 'version'>): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

/** What `npm ci` left in `node_modules`. @throws Error naming what is not as locked */
export function readInstalled(modules: string, lock: ReadonlyMap<string, Locked>): Locked[] {
  const installed = readLock(readFileSync(join(modules, '.package-lock.json'), 'utf8'));
  const strange = [...installed]
    .filter(([place, { sha512 }]) => lock.get(place)?.sha512 !== sha512)
    .map(([, { name, version }]) => `${name}@${version}`);
  if (strange.length > 0)
    throw new Error(`installed otherwise than locked: ${strange.join(', ')}; run npm ci`);
  return [...installed.values()];
}

function nameAt(place: string): string {
  return place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function hex(integrity: string): string {
  const [, base64] = /(?:^| )sha512-(\S+)/.exec(integrity) ?? [];
  if (base64 === undefined) throw new Error(`no SHA-512 in the integrity ${integrity}`);
  return Buffer.from(base64, 'base64').toString('hex');
}
