import { BoundedLabel } from './bounded-label.ts';
import { gauge, type Sample } from './series.ts';
import { Tally } from './tally.ts';

/** More than so many share one label. */
const MOST = 500;

/** How often credentials are used, and how the sources of their secrets answer. */
export class CredentialMetrics {
  readonly #uses = new Tally<'credential' | 'principal'>({
    name: 'sekisho_credential_uses_total',
    help: 'Requests that took on a credential.',
  });
  readonly #reads = new Tally<'source' | 'outcome'>({
    name: 'sekisho_secret_reads_total',
    help: 'Secrets that were asked for elsewhere: read, or why not.',
  });
  readonly #unmasked = new Tally<'credential' | 'why'>({
    name: 'sekisho_unmasked_responses_total',
    help: 'Responses to requests with a credential that could not be looked at whole for it.',
  });
  readonly #credentials = new BoundedLabel(MOST);
  readonly #principals = new BoundedLabel(MOST);
  readonly #lastUsed = new Map<string, number>();

  get series() {
    const lastUsed = (): Sample[] =>
      Array.from(this.#lastUsed, ([credential, value]) => ({ labels: { credential }, value }));
    return [
      this.#uses,
      this.#reads,
      this.#unmasked,
      gauge(
        {
          name: 'sekisho_credential_last_used_timestamp_seconds',
          help: 'When a credential was used last, in seconds since 1970.',
        },
        lastUsed,
        'max',
      ),
    ];
  }

  /** @param now milliseconds since the epoch */
  used(name: string, caller: string, now: number): void {
    const credential = this.#credentials.of(name);
    const principal = this.#principals.of(caller);
    this.#uses.add(`${credential} ${principal}`, 1, () => ({ credential, principal }));
    this.#lastUsed.set(credential, now / 1000);
  }

  unmasked(name: string, why: string): void {
    const credential = this.#credentials.of(name);
    this.#unmasked.add(`${credential} ${why}`, 1, () => ({ credential, why }));
  }

  read(source: string, outcome: string): void {
    this.#reads.add(`${source} ${outcome}`, 1, () => ({ source, outcome }));
  }
}
