import { hash, randomBytes } from 'node:crypto';

/** A value's stand-in as a key of a map. @param value its bytes in latin1 */
export type Digest = (value: string) => string;

/**
 * SHA-256 behind a prefix that only this process has. Looking up digests takes no longer for a value that is nearly
 * right, and no longer for a thousand principals than for one. Not an HMAC, which costs Node many times as much: digests
 * never leave the process, so there is nothing to extend. It is taken of the text in UTF-8, which is another for every value.
 */
export function createDigest(): Digest {
  const prefix = randomBytes(32).toString('hex');
  return (value) => hash('sha256', prefix + value, 'base64');
}

/** Entries by the digest of what must be presented. */
export class DigestTable<T> {
  readonly #digest: Digest;
  readonly #values = new Map<string, T[]>();

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  add(secret: Buffer, value: T): void {
    const key = this.#digest(secret.toString('latin1'));
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [value]);
    else values.push(value);
  }

  /** @param presented in latin1 */
  find(presented: string): readonly T[] {
    return this.#values.get(this.#digest(presented)) ?? [];
  }
}
