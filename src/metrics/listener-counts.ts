import type { Outcome } from '../core/conversation.ts';
import type { Decision } from '../core/decision.ts';
import type { Spread } from './durations.ts';
import type { Sample } from './series.ts';

type Reason = Decision['reason'] | 'none';

/** How often, by the reason of the decision. */
interface ReasonCounts {
  readonly enforce: Map<Reason, Counted>;
  readonly report: Map<Reason, Counted>;
}

interface Counted {
  readonly effect: Decision['effect'] | 'none';
  count: number;
}

/**
 * The exchanges of one listener. Nested maps, since every key in them is a string that exists already: to join labels to
 * one key for each exchange would cost more than all the rest.
 */
export class ListenerCounts {
  readonly #listener: string;
  readonly #requests: Readonly<Record<Decision['effect'], Spread>>;
  readonly #principals = new Map<string, ReasonCounts>();
  #bytesUp = 0;
  #bytesDown = 0;

  /** @param requests how long plain requests took, by what was decided */
  constructor(listener: string, requests: Readonly<Record<Decision['effect'], Spread>>) {
    this.#listener = listener;
    this.#requests = requests;
  }

  /** @param decision undefined for an exchange that broke before any */
  add(principal: string, decision: Decision | undefined, { bytesUp, bytesDown }: Outcome): void {
    let reasons = this.#principals.get(principal);
    if (reasons === undefined) {
      reasons = { enforce: new Map(), report: new Map() };
      this.#principals.set(principal, reasons);
    }
    const { reason = 'none', effect = 'none', mode = 'enforce' } = decision ?? {};
    const counted = reasons[mode].get(reason);
    if (counted === undefined) reasons[mode].set(reason, { effect, count: 1 });
    else counted.count++;
    this.#bytesUp += bytesUp;
    this.#bytesDown += bytesDown;
  }

  /** Whatever was not allowed counts as denied. */
  request(decision: Decision | undefined): Spread {
    return this.#requests[decision?.effect ?? 'deny'];
  }

  exchanges(): Sample[] {
    return [...this.#principals].flatMap(([principal, reasons]) =>
      (['enforce', 'report'] as const).flatMap((mode) =>
        Array.from(reasons[mode], ([reason, { effect, count }]) => ({
          labels: { listener: this.#listener, principal, effect, reason, mode },
          value: count,
        })),
      ),
    );
  }

  bytes(): Sample[] {
    return [
      { labels: { listener: this.#listener, direction: 'up' }, value: this.#bytesUp },
      { labels: { listener: this.#listener, direction: 'down' }, value: this.#bytesDown },
    ];
  }
}
