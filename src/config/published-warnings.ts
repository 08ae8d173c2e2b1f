import { type Diagnostic, type Position, quote, warning } from '../core/diagnostic.ts';
import type { NetworkList } from '../core/networks.ts';
import { isRented } from '../core/rented-addresses.ts';
import type { Config } from './config.ts';

/** Lists of addresses that anybody can rent, where an address is taken for more than it is. */
export function findRentedAddresses(config: Config): Diagnostic[] {
  const rented = new Set(
    Array.from(config.sets)
      .filter(([, { published: list }]) => list && isRented(list.provider, list.filters.service))
      .map(([name]) => name),
  );
  if (rented.size === 0) return [];
  const namesIn = (list: NetworkList | undefined) =>
    (list ?? []).filter((one) => typeof one === 'string' && rented.has(one)).map(String);
  return [
    ...findRentedPrincipals(config, namesIn),
    ...findRentedBalancers(config, namesIn),
    ...findRentedDestinations(config, rented),
  ];
}

type NamesIn = (list: NetworkList | undefined) => string[];

function findRentedPrincipals({ principals }: Config, namesIn: NamesIn): Diagnostic[] {
  return principals.flatMap(({ name, identify }) =>
    identify
      .filter(({ header, basic, bearer }) => !(header || basic || bearer))
      .flatMap(({ clientAddress, at }) =>
        namesIn(clientAddress).map((set) =>
          tell(at, set, `and is taken for ${quote(name)}`, 'ask for a header, basic or bearer too'),
        ),
      ),
  );
}

function findRentedBalancers({ listeners }: Config, namesIn: NamesIn): Diagnostic[] {
  return listeners.flatMap(({ name, proxyProtocol, at }) =>
    namesIn(proxyProtocol?.from).map((set) => {
      const what = `whose PROXY headers the listener ${quote(name)} believes`;
      return tell(at, set, what, 'name the networks of your own balancers');
    }),
  );
}

function findRentedDestinations({ rules }: Config, rented: ReadonlySet<string>): Diagnostic[] {
  return rules.flatMap(({ effect, name, to, at }) =>
    to.flatMap((pattern) => {
      if (effect === 'deny' || pattern.kind !== 'set' || !rented.has(pattern.set)) return [];
      const what = `where the rule ${quote(name)} lets pass`;
      return [tell(at, pattern.set, what, 'name hosts, and the set under addresses')];
    }),
  );
}

function tell(at: Position, set: string, what: string, remedy: string): Diagnostic {
  return warning(
    at,
    `every customer of its provider has addresses of ${quote(set)}, ${what}`,
    remedy,
  );
}
