import type { Failing, Interruption } from '../stages/stage.ts';
import { AwsError, LostAnswer, throttled } from './aws-error.ts';
import { requestLimitExceeded } from './ec2.ts';
import type { FakeService, Operation } from './service.ts';

/** Fails one call, whatever it is for: the n-th of all calls to the services, counted from 1. */
export class Interruptions implements Failing {
  readonly operations: string[] = [];
  #at: { number: number; how: Interruption } | undefined;

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
          const how = this.operations.push(name) === this.#at?.number ? this.#at.how : undefined;
          // No code that the SDK tries again by itself.
          if (how === 'refused') throw new AwsError('Interrupted', 'not now');
          if (how === 'throttled') throw beyondRate(service);
          const output = run(input, call);
          if (how === 'lost') throw new LostAnswer();
          return output;
        },
      ],
    );
    return { ...service, operations: Object.fromEntries(operations) };
  }
}

function beyondRate({ name }: FakeService): AwsError {
  return name === 'ec2' ? requestLimitExceeded() : throttled();
}
