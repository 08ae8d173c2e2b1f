import { createHash } from 'node:crypto';

/** In the form of `sha256sum`, sorted by name. */
export function sumsOf(files: ReadonlyMap<string, Buffer>): string {
  const names = [...files.keys()].sort();
  return names.map((name) => `${sha256(files.get(name) as Buffer)}  ${name}\n`).join('');
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
