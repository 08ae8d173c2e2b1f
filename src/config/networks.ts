import { Fault, quote } from '../core/diagnostic.ts';
import { Cidr, Ip } from '../core/ip.ts';
import type { NetworkList } from '../core/networks.ts';
import type { Bind } from './config.ts';
import type { Names } from './names.ts';
import { list, parsed, section } from './shape.ts';

/** An address or a network. @throws Fault that names the right network where bits beyond the prefix are set */
export function parseNetwork(text: string): Cidr {
  const cidr = Cidr.parse(text);
  if (cidr !== undefined) return cidr;
  const right = withoutHostBits(text);
  if (right !== undefined) {
    throw new Fault(
      `${quote(text)} has bits set beyond its prefix`,
      `write ${right} for the network, or the address alone`,
    );
  }
  throw new Fault(`${quote(text)} is not an address or network`, 'write 10.0.5.0/24 or 10.0.5.7');
}

/** @throws Fault */
export function parseAddress(text: string): Ip {
  const ip = Ip.parse(text);
  if (ip !== undefined) return ip;
  throw new Fault(`${quote(text)} is not an address`, 'write one IP address, without port');
}

function withoutHostBits(text: string): string | undefined {
  const match = /^(.+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const ip = Ip.parse(match?.[1] ?? '');
  const bits = Number(match?.[2]);
  if (ip === undefined || !(bits < ip.words.length * 32)) return undefined;
  const bytes = ip.words.flatMap((word) => [word >>> 24, word >>> 16, word >>> 8, word]);
  const network = bytes.map((byte, i) => {
    const kept = Math.max(0, Math.min(8, bits - 8 * i));
    return byte & 0xff & (0xff00 >> kept);
  });
  return `${Ip.fromBytes(network).text}/${bits}`;
}

/** `127.0.0.1:3128` or `[::]:3128`; port 0 lets the system pick one. @throws Fault */
export function parseBind(text: string): Bind {
  const { ip, port } = splitPort(text);
  if (ip !== undefined && port !== undefined) return { host: ip.text, port };
  const [, onlyPort] = /^:?(\d+)$/.exec(text) ?? [];
  throw new Fault(
    `${quote(text)} is not an address and a port`,
    onlyPort === undefined
      ? 'write 127.0.0.1:3128 or "[::]:3128"'
      : `write 127.0.0.1:${onlyPort}, or 0.0.0.0:${onlyPort} for every address`,
  );
}

/** A DNS server; port 53 where none is named. @throws Fault */
export function parseResolver(text: string): { ip: Ip; port: number } {
  const { ip, port } = splitPort(text);
  if (ip !== undefined && port !== 0) return { ip, port: port ?? 53 };
  throw new Fault(`${quote(text)} is not a resolver`, 'write its address and port: "10.0.0.2:53"');
}

function splitPort(text: string): { ip: Ip | undefined; port: number | undefined } {
  const match = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]*))(?::(0|[1-9]\d{0,4}))?$/.exec(text);
  const ip = Ip.parse(match?.[1] ?? match?.[2] ?? '');
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  return { ip: (port ?? 0) > 65535 ? undefined : ip, port };
}

/** Whether text can only be the name of a set: nothing in it makes it a host or an address. */
export function isWord(text: string): boolean {
  return !/[.:/*[\]]/.test(text);
}

/** Addresses, networks and sets of them, as the networks they stand for where these stay what they are. */
export function networkList(names: Names) {
  const entry = parsed((text): NetworkList => {
    return isWord(text) ? names.networksOf(text) : [parseNetwork(text)];
  }, 'An address, a network, or the name of a set with addresses.');
  return list(entry).transform((networks) => networks.flat());
}

export const bind = parsed(parseBind, 'An address and a port: 127.0.0.1:3128 or "[::]:3128".');

export function networksSchema(names: Names) {
  const entry = parsed(
    (text) => (isWord(text) ? names.ownNetworksOf(text) : [parseNetwork(text)]),
    'An address, a network, or the name of a set that lists addresses.',
  );
  const owned = list(entry).transform((networks) => networks.flat());
  return section({ owned: owned.optional() });
}
