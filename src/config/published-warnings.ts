import { type Diagnostic, quote, warning } from '../core/diagnostic.ts';
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
        namesIn(clientAddress).map((set) => {
          const message = `whoever rents an address of ${quote(set)} is the principal ${quote(name)}`;
          return warning(at, message, 'ask for a header, basic or bearer in the same entry');
        }),
      ),
  );
}

function findRentedBalancers({ listeners }: Config, namesIn: NamesIn): Diagnostic[] {
  return listeners.flatMap(({ name, proxyProtocol, at }) =>
    namesIn(proxyProtocol?.from).map((set) => {
      const message = `the listener ${quote(name)} believes the PROXY headers of whoever rents an address of ${quote(set)}`;
      return warning(at, message, 'name the networks of your own balancers');
    }),
  );
}

function findRentedDestinations({ rules }: Config, rented: ReadonlySet<string>): Diagnostic[] {
  return rules.flatMap(({ effect, name, to, at }) =>
    to.flatMap((pattern) => {
      if (effect === 'deny' || pattern.kind !== 'set' || !rented.has(pattern.set)) return [];
      const message = `the rule ${quote(name)} allows whatever somebody runs on a rented address of ${quote(pattern.set)}`;
      return [warning(at, message, 'name hosts under to, and the set under addresses')];
    }),
  );
}
