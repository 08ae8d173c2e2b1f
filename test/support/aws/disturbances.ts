import type { AwsError, LostAnswer } from './aws-error.ts';
import type { Call } from './service.ts';

interface Failure {
  readonly operation: string;
  readonly fits: (number: number) => boolean;
  readonly error: AwsError | LostAnswer;
}

interface Hold {
  readonly arrived: PromiseWithResolvers<void>;
  readonly over: PromiseWithResolvers<void>;
}

/** What goes wrong on purpose, by operation and by which of its calls. */
export class Disturbances {
  readonly #failures: Failure[] = [];
  readonly #held = new Map<string, Hold>();

  /** The calls of an operation fail, counted from the first that the server ever had: `(n) => n === 2`. */
  fail(
    operation: string,
    error: AwsError | LostAnswer,
    fits: (number: number) => boolean = () => true,
  ): void {
    this.#failures.push({ operation, fits, error });
  }

  /** Nothing fails any more. */
  heal(): void {
    this.#failures.length = 0;
  }

  /** Calls of this operation get no answer until `release`. @returns once there is one */
  hold(operation: string): Promise<void> {
    const hold = { arrived: Promise.withResolvers<void>(), over: Promise.withResolvers<void>() };
    this.#held.set(operation, hold);
    return hold.arrived.promise;
  }

  release(): void {
    for (const { over } of this.#held.values()) over.resolve();
    this.#held.clear();
  }

  /** @throws AwsError, LostAnswer where this call is to fail */
  async strike({ operation, number }: Call): Promise<void> {
    const hold = this.#held.get(operation);
    hold?.arrived.resolve();
    await hold?.over.promise;
    const failure = this.#failures.find((one) => one.operation === operation && one.fits(number));
    if (failure !== undefined) throw failure.error;
  }
}
