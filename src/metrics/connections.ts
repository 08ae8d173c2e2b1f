import { counter, gauge } from './series.ts';
import { Tally } from './tally.ts';

/** What happens to connections of clients, whatever they ask for. */
export class ConnectionMetrics {
  readonly #open = new Map<string, number>();
  readonly #accepted = new Map<string, number>();
  readonly #rejected = new Tally({
    name: 'sekisho_connections_rejected_total',
    help: 'Connections closed before any request of theirs could be recorded.',
  });
  readonly #ownPages = new Tally({
    name: 'sekisho_own_pages_total',
    help: 'Requests for pages of the gateway itself that it answered; with an invalid identity they are exchanges.',
  });

  get series() {
    return [
      gauge({ name: 'sekisho_open_connections', help: 'Connections of clients.' }, () =>
        byListener(this.#open),
      ),
      counter(
        { name: 'sekisho_connections_total', help: 'Connections of clients that were accepted.' },
        () => byListener(this.#accepted),
      ),
      this.#rejected,
      this.#ownPages,
    ];
  }

  /** Of all listeners. */
  get allOpen(): number {
    return [...this.#open.values()].reduce((sum, open) => sum + open, 0);
  }

  /** How many are open now: told whenever one more or one less is. */
  open(listener: string, open: number): void {
    const before = this.#open.get(listener) ?? 0;
    this.#open.set(listener, open);
    if (open > before) this.#accepted.set(listener, (this.#accepted.get(listener) ?? 0) + 1);
  }

  rejected(listener: string, rejection: string): void {
    this.#rejected.add(`${listener} ${rejection}`, 1, () => ({ listener, rejection }));
  }

  ownPage(listener: string, status: number): void {
    this.#ownPages.add(`${listener} ${status}`, 1, () => ({ listener, status: String(status) }));
  }
}

function byListener(counts: ReadonlyMap<string, number>) {
  return Array.from(counts, ([listener, value]) => ({ labels: { listener }, value }));
}
