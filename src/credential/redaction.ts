import { compileForms, type FormNode } from './secret-forms.ts';

const MASK = 0x2a;
const NOTHING = Buffer.alloc(0);

/** Looks for secrets in what comes back, in every form of `secret-forms.ts`, and puts as many `*` in their place. */
export class Redactor {
  readonly #root: FormNode | undefined;
  /** Whether a form may begin with these two bytes: most bytes begin none, and are passed at once. */
  readonly #begins = new Uint8Array(0x10000);
  readonly #first = new Uint8Array(0x100);

  /** @param secrets those below `SHORTEST` characters are left out */
  constructor(secrets: readonly string[]) {
    this.#root = compileForms(secrets);
    for (const [byte, nodes] of this.#root?.next ?? []) {
      this.#first[byte] = 1;
      for (const { next } of nodes) {
        for (const second of next.keys()) this.#begins[byte * 256 + second] = 1;
      }
    }
  }

  /** A text that is whole, in latin1: a header's value. */
  text(value: string): string {
    if (this.#root === undefined) return value;
    const bytes = Buffer.from(value, 'latin1');
    this.#mask(bytes, true);
    return bytes.toString('latin1');
  }

  /** A body or another stream of bytes, piece by piece. */
  stream(): RedactedStream {
    return new RedactedStream((bytes, last) => this.#mask(bytes, last));
  }

  /**
   * Masks in place what is whole in `bytes`.
   *
   * @param last whether nothing follows
   * @returns how many bytes are settled: behind them a form may have begun
   */
  #mask(bytes: Buffer, last: boolean): number {
    if (this.#root === undefined) return bytes.length;
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      const byte = bytes[at] as number;
      if (at + 1 < end) {
        if (this.#begins[byte * 256 + (bytes[at + 1] as number)] === 0) {
          at++;
          continue;
        }
      } else if (last || this.#first[byte] === 0) return end;
      const { length, open } = this.#match(bytes, at);
      // Were it longer in the end, more would be masked: it waits.
      if (open && !last) return at;
      if (length > 0) bytes.fill(MASK, at, at + length);
      at += Math.max(1, length);
    }
    return end;
  }

  /** The longest form that begins at `at`, and whether more bytes could make it longer. */
  #match(bytes: Buffer, at: number): { length: number; open: boolean } {
    let live: readonly FormNode[] = [this.#root as FormNode];
    let length = 0;
    for (let i = at; i < bytes.length; i++) {
      live = step(live, bytes[i] as number);
      if (live.length === 0) return { length, open: false };
      if (live.some(({ end }) => end)) length = i + 1 - at;
    }
    return { length, open: live.some(({ next }) => next.size > 0) };
  }
}

function step(live: readonly FormNode[], byte: number): readonly FormNode[] {
  const [only] = live;
  if (live.length === 1) return only?.next.get(byte) ?? [];
  return live.flatMap((node) => node.next.get(byte) ?? []);
}

/** One stream that is redacted. It holds back no more than what may be the beginning of a form. */
export class RedactedStream {
  readonly #mask: (bytes: Buffer, last: boolean) => number;
  #held = NOTHING;

  constructor(mask: (bytes: Buffer, last: boolean) => number) {
    this.#mask = mask;
  }

  /** What can go on now. `piece` is left as it is. */
  push(piece: Buffer): Buffer {
    const bytes = Buffer.concat([this.#held, piece]);
    const settled = this.#mask(bytes, false);
    this.#held = bytes.subarray(settled);
    return bytes.subarray(0, settled);
  }

  /** What was held back, once nothing follows. */
  end(): Buffer {
    const rest = this.#held;
    this.#held = NOTHING;
    this.#mask(rest, true);
    return rest;
  }
}
