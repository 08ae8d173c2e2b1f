/**
 * The files that secrets are read from, each read once, so that several readers agree whatever happens to the files in
 * the meantime. The bytes show in no output: they are private to this object.
 */
export class SecretFiles {
  readonly #bytes: Map<string, Uint8Array>;
  readonly #read: (path: string) => Uint8Array;

  /**
   * @param read reads one that is not known yet @throws Fault, as `read` does
   * @param known contents by path
   */
  constructor(
    read: (path: string) => Uint8Array,
    known: ReadonlyMap<string, Uint8Array> = new Map(),
  ) {
    this.#read = read;
    this.#bytes = new Map(known);
  }

  /** @throws Fault */
  read(path: string): Uint8Array {
    const bytes = this.#bytes.get(path) ?? this.#read(path);
    this.#bytes.set(path, bytes);
    return bytes;
  }

  /** What was read so far: for another process of this gateway alone. */
  contents(): ReadonlyMap<string, Uint8Array> {
    return this.#bytes;
  }
}
