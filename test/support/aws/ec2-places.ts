import { Ec2 } from './ec2.ts';
import type { FakeService, Operation } from './service.ts';

/** EC2 in every account and region, each with things of its own. */
export class Ec2Places {
  readonly #places = new Map<string, Ec2>();

  at(account: string, region: string): Ec2 {
    const place = `${account} ${region}`;
    const found = this.#places.get(place) ?? new Ec2();
    this.#places.set(place, found);
    return found;
  }

  get service(): FakeService {
    const { service } = new Ec2();
    const operations = Object.keys(service.operations).map((name): [string, Operation] => [
      name,
      (input, call) => {
        const [account = ''] = call.identity.arn.split(':').slice(4);
        return this.at(account, call.region).service.operations[name]?.(input, call);
      },
    ]);
    return { ...service, operations: Object.fromEntries(operations) };
  }
}
