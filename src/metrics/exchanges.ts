import type { RecordedEnd } from '../audit/recorder.ts';
import { STEPS, type Step } from '../core/steps.ts';
import { BoundedLabel } from './bounded-label.ts';
import { Durations, type Spread } from './durations.ts';
import { ListenerCounts } from './listener-counts.ts';
import { counter } from './series.ts';
import { Tally } from './tally.ts';

/** More principals than this share one label. */
const MOST_PRINCIPALS = 500;

/** What became of exchanges, and how long their steps took. On the path of each: `bench/metrics.ts` tells what it costs. */
export class ExchangeMetrics {
  readonly #listeners = new Map<string, ListenerCounts>();
  readonly #troubles = new Tally({
    name: 'sekisho_outcome_errors_total',
    help: 'Exchanges that failed after they were decided on.',
  });
  readonly #read = new Tally({
    name: 'sekisho_requests_total',
    help: 'HTTP requests that could be read, by what they came in: http/1 or h2.',
  });
  readonly #steps = new Durations<'step'>({
    name: 'sekisho_step_seconds',
    help: 'How long the steps of exchanges took. answer: until the destination began to answer a request.',
  });
  readonly #requests = new Durations<'listener' | 'effect'>({
    name: 'sekisho_request_seconds',
    help: 'How long plain HTTP requests took, from their head to the end of their answer.',
  });
  readonly #principals = new BoundedLabel(MOST_PRINCIPALS);
  readonly #spreads: Readonly<Record<Step, Spread>>;

  constructor() {
    const spreads = STEPS.map((step) => [step, this.#steps.of(step, () => ({ step }))]);
    this.#spreads = Object.fromEntries(spreads) as Record<Step, Spread>;
  }

  get series() {
    const listeners = this.#listeners;
    return [
      counter(
        {
          name: 'sekisho_exchanges_total',
          help: 'Exchanges that ended, by the decision that stands. principal is empty for nobody identified.',
        },
        () => [...listeners.values()].flatMap((counts) => counts.exchanges()),
      ),
      counter(
        {
          name: 'sekisho_bytes_total',
          help: 'Payload bytes of ended exchanges: up from clients, down to them.',
        },
        () => [...listeners.values()].flatMap((counts) => counts.bytes()),
      ),
      this.#troubles,
      this.#read,
      this.#steps,
      this.#requests,
    ];
  }

  passed(step: Step, milliseconds: number): void {
    this.#spreads[step].observe(milliseconds);
  }

  ended({ conversation, principal, decision, outcome, durationMs }: RecordedEnd): void {
    const { listener, request, protocol = 'http/1' } = conversation;
    // The names of a template's instances come from outside and know no bound.
    const who = this.#principals.of(principal?.template ?? principal?.name ?? '');
    const counts = this.#listeners.get(listener) ?? this.#begin(listener);
    counts.add(who, decision, outcome);
    const { error } = outcome;
    if (error !== null) this.#troubles.add(`${listener} ${error}`, 1, () => ({ listener, error }));
    if (request === undefined) return;
    counts.request(decision).observe(durationMs);
    this.#read.add(`${listener} ${protocol}`, 1, () => ({ listener, protocol }));
  }

  #begin(listener: string): ListenerCounts {
    const spreadOf = (effect: string) =>
      this.#requests.of(`${listener} ${effect}`, () => ({ listener, effect }));
    const counts = new ListenerCounts(listener, {
      allow: spreadOf('allow'),
      deny: spreadOf('deny'),
    });
    this.#listeners.set(listener, counts);
    return counts;
  }
}
