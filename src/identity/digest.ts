import { createHmac, randomBytes } from 'node:crypto';

/** A value's stand-in as a key of a map. */
export type Digest = (value: Buffer) => string;

/**
 * HMAC-SHA256 under a key that only this process has. Looking up digests takes no longer for a value that is nearly
 * right, and no longer for a thousand principals than for one.
 */
export function createDigest(): Digest {
  const key = randomBytes(32);
  return (value) => createHmac('sha256', key).update(value).digest('base64');
}

/** Entries by the digest of what must be presented. */
export class DigestTable<T> {
  readonly #digest: Digest;
  readonly #values = new Map<string, T[]>();

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  add(secret: Buffer, value: T): void {
    const key = this.#digest(secret);
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
  }

  find(presented: Buffer): readonly T[] {
    return this.#values.get(this.#digest(presented)) ?? [];
  }
}
