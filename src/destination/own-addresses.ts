import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { Cidr, Ip } from '../core/ip.ts';

/** Which addresses reach this host, and which of them a listener of the gateway. */
export interface OwnAddresses {
  isOwn(ip: Ip): boolean;
  isListener(ip: Ip, port: number): boolean;
}

export interface BoundAddress {
  /** `0.0.0.0` and `::` stand for every address of this host. */
  readonly ip: Ip;
  readonly port: number;
}

type Interfaces = NodeJS.Dict<readonly Pick<NetworkInterfaceInfo, 'address'>[]>;

export interface OwnAddressesOptions {
  /** All that the gateway listens on, with the ports that were really bound: admin and health too. */
  readonly listeners: () => readonly BoundAddress[];
  /** Default: those of the system. */
  readonly interfaces?: () => Interfaces;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** Addresses come and go (DHCP, ENIs, containers), but asking the kernel costs too much for every decision. */
const REFRESH_MS = 3_000;

const LOOPBACK = ['127.0.0.0/8', '::1'].map((text) => Cidr.parse(text) as Cidr);
const LOOPBACK_OF = new Map([
  ['0.0.0.0', Ip.parse('127.0.0.1') as Ip],
  ['::', Ip.parse('::1') as Ip],
]);

/** An address that stands for an IPv4 address (NAT64, 6to4) is this host when either of the two is. */
export function createOwnAddresses(options: OwnAddressesOptions): OwnAddresses {
  const now = options.now ?? (() => performance.now());
  const interfaces = options.interfaces ?? networkInterfaces;
  let own: ReadonlySet<string> = new Set();
  let refreshedAt = Number.NEGATIVE_INFINITY;

  const reaches = (ip: Ip): boolean => {
    if (now() - refreshedAt >= REFRESH_MS) {
      own = addressesOf(interfaces());
      refreshedAt = now();
    }
    return own.has(ip.text) || LOOPBACK.some((range) => range.contains(ip));
  };

  return {
    isOwn: (ip) => dialled(ip).some(reaches),
    isListener: (ip, port) =>
      options
        .listeners()
        .some(
          (bound) =>
            bound.port === port &&
            dialled(ip).some(
              (form) => bound.ip.equals(form) || (covers(bound.ip, form) && reaches(form)),
            ),
        ),
  };
}

/** What a dial to an address may reach. The system takes an unspecified address for loopback. */
function dialled(ip: Ip): readonly Ip[] {
  const forms = ip.inner === undefined ? [ip] : [ip, ip.inner];
  return forms.map((form) => LOOPBACK_OF.get(form.text) ?? form);
}

/** Whether a bound address is the wildcard of an address's family; `::` takes IPv4 as well (RFC 3493 section 3.7). */
function covers(bound: Ip, ip: Ip): boolean {
  return bound.text === '::' || (bound.text === '0.0.0.0' && ip.family === 4);
}

function addressesOf(interfaces: Interfaces): ReadonlySet<string> {
  const addresses = Object.values(interfaces).flatMap((entries) => entries ?? []);
  return new Set(addresses.map(({ address }) => Ip.parse(address)?.text ?? address));
}
