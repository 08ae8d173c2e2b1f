import type { AwsError } from './aws-error.ts';
import type { Call } from './service.ts';

interface Failure {
  readonly operation: string;
  readonly fits: (number: number) => boolean;
  readonly error: AwsError;
}

/** What goes wrong on purpose, by operation and by which of its calls. */
export class Disturbances {
  readonly #failures: Failure[] = [];
  readonly #held = new Map<string, PromiseWithResolvers<void>>();

  /** The calls of an operation fail, counted from the first that the server ever had: `(n) => n === 2`. */
  fail(operation: string, error: AwsError, fits: (number: number) => boolean = () => true): void {
    this.#failures.push({ operation, fits, error });
  }

  /** Nothing fails any more. */
  heal(): void {
    this.#failures.length = 0;
  }

  /** Calls of this operation get no answer until `release`. */
  hold(operation: string): void {
    this.#held.set(operation, Promise.withResolvers<void>());
  }

  release(): void {
    for (const { resolve } of this.#held.values()) resolve();
    this.#held.clear();
  }

  /** @throws AwsError where this call is to fail */
  async strike({ operation, number }: Call): Promise<void> {
    await this.#held.get(operation)?.promise;
    const failure = this.#failures.find((one) => one.operation === operation && one.fits(number));
    if (failure !== undefined) throw failure.error;
  }
}
