import { Redactor } from './redaction.ts';

/** One for each destination of a credential is enough for most; to make another costs a millisecond. */
const MOST = 1_000;

/** Redactors that are made once for the secrets of a credential, and anew when these change. */
export class Redactors {
  readonly #made = new Map<string, { secrets: readonly string[]; redactor: Redactor }>();

  /** @param key of the credential and its destination */
  for(key: string, secrets: readonly string[]): Redactor {
    const before = this.#made.get(key);
    if (before !== undefined && isSame(before.secrets, secrets)) return before.redactor;
    const redactor = new Redactor(secrets);
    this.#made.delete(key);
    this.#made.set(key, { secrets, redactor });
    const [oldest] = this.#made.keys();
    if (this.#made.size > MOST && oldest !== undefined) this.#made.delete(oldest);
    return redactor;
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
