import { AwsError } from './aws-error.ts';
import type { FakeService, Operation } from './service.ts';

/** What becomes of the call: it is refused, or done and its answer lost. */
export type Interruption = 'before' | 'after';

/** Fails one call, whatever it is for: the n-th of all calls to the services, counted from 1. */
export class Interruptions {
  /** The operations that were called, in order. */
  readonly operations: string[] = [];
  #at: { number: number; how: Interruption } | undefined;

  /** @param number beyond the last call: nothing fails */
  begin(number: number, how: Interruption): void {
    this.operations.length = 0;
    this.#at = { number, how };
  }

  end(): void {
    this.#at = undefined;
  }

  wrap(service: FakeService): FakeService {
    const operations = Object.entries(service.operations).map(
      ([name, run]): [string, Operation] => [
        name,
        (input, call) => {
          const strikes = this.operations.push(name) === this.#at?.number;
          if (strikes && this.#at?.how === 'before') throw interrupted();
          const output = run(input, call);
          if (strikes) throw interrupted();
          return output;
        },
      ],
    );
    return { ...service, operations: Object.fromEntries(operations) };
  }
}

/** No code that the SDK tries again by itself. */
function interrupted(): AwsError {
  return new AwsError('Interrupted', 'the connection broke');
}
