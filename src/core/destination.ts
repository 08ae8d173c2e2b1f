import { Hostname } from './hostname.ts';
import { Ip } from './ip.ts';
import { Refusal } from './refusal.ts';

/**
 * `tunnel`: what comes after CONNECT. `http`: a request that is read and forwarded in clear. `https`: one that is read
 * and goes on over TLS, verified for the host.
 */
export type Scheme = 'tunnel' | 'http' | 'https';

export const DEFAULT_PORTS: Readonly<Record<Scheme, number>> = {
  tunnel: 443,
  http: 80,
  https: 443,
};

/** What was asked for: the one value that is decided on, looked up, compared with Host and SNI, and recorded. */
export interface Destination {
  readonly scheme: Scheme;
  readonly host: Hostname | Ip;
  readonly port: number;
}

/** Where a plain request goes that may go over TLS only. */
export function overTls({ host, port }: Destination): Destination {
  return { scheme: 'https', host, port: port === DEFAULT_PORTS.http ? DEFAULT_PORTS.https : port };
}

/** `api.github.com:443`, `[2606:4700::1]:443`. */
export function destinationText(destination: Destination): string {
  return `${hostText(destination.host)}:${destination.port}`;
}

/** As it stands in an authority: an IPv6 address in brackets. */
export function hostText(host: Hostname | Ip): string {
  return host instanceof Ip ? host.bracketed : host.name;
}

export function sameHost(a: Hostname | Ip, b: Hostname | Ip): boolean {
  return hostText(a) === hostText(b);
}

export interface Authority {
  readonly host: Hostname | Ip;
  /** undefined when the text names none. */
  readonly port: number | undefined;
}

/**
 * Parses `host`, `host:port`, `1.2.3.4:port`, `[v6]:port` as they stand on the wire (RFC 3986 3.2, without userinfo).
 *
 * @throws Refusal `request-invalid` or `destination-invalid`, saying which part is at fault.
 */
export function parseAuthority(text: string): Authority {
  if (text.startsWith('[')) return parseBracketed(text);
  const colon = text.indexOf(':');
  if (colon < 0) return { host: parseHost(text), port: undefined };
  return { host: parseHost(text.slice(0, colon)), port: parsePort(text.slice(colon + 1)) };
}

function parseBracketed(text: string): Authority {
  const close = text.indexOf(']');
  const ip = close < 0 ? undefined : Ip.parse(text.slice(1, close));
  if (ip === undefined || !text.slice(1, close).includes(':')) {
    throw new Refusal('destination-invalid', 'brackets must hold an IPv6 address without a zone');
  }
  const rest = text.slice(close + 1);
  if (rest === '') return { host: ip, port: undefined };
  if (!rest.startsWith(':'))
    throw new Refusal('request-invalid', 'only a port may follow the address');
  return { host: ip, port: parsePort(rest.slice(1)) };
}

/** A host without port: a name, or an address in its one strict form. */
export function parseHost(text: string): Hostname | Ip {
  const ip = /^[0-9.]+$/.test(text) ? Ip.parse(text) : undefined;
  return ip ?? Hostname.parse(text);
}

function parsePort(text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text) || Number(text) > 65535) {
    throw new Refusal('request-invalid', 'the port must be a number from 1 to 65535');
  }
  return Number(text);
}
