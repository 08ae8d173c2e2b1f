import type { RangesTargetConfig } from '../../../src/config/ranges-config.ts';

/** What becomes of a call: it is not carried out, it is beyond the rate, or it is carried out and nobody hears of it. */
export type Interruption = 'refused' | 'throttled' | 'lost';

/** Fails one call of an apply, the n-th of all, counted from 1. */
export interface Failing {
  /** What was called, in order. */
  readonly operations: readonly string[];
  /** @param number beyond the last call: nothing fails */
  begin(number: number, how: Interruption): void;
  end(): void;
}

/** Networks as text. */
export interface Situation {
  readonly before: readonly string[];
  readonly foreign: readonly string[];
  readonly wanted: readonly string[];
}

/** One kind of target, where every call can be made to fail. */
export interface Stage {
  readonly config: RangesTargetConfig;
  readonly failing: Failing;
  /** Whether a call only reads: when its answer is lost, nothing has happened. */
  readonly reads: RegExp;
  /** Puts the target into a state. */
  set(given: Situation): void;
  /** The networks that let something pass, by whomever. */
  passing(): readonly string[];
  ours(): readonly string[];
  theirs(): readonly string[];
  /** Calls after every change. */
  watch(look: () => void): void;
}
