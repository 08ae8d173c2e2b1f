import { RawClient } from './clients.ts';

/**
 * Every way to ask a forward proxy for a host: `CONNECT host:443`, `GET http://host/`, `GET /` with a Host, and a request
 * inside a `CONNECT host:80`. A host is allowed over all of them or over none.
 */
export const WAYS = ['connect', 'absolute', 'origin', 'inside'] as const;
export type Way = (typeof WAYS)[number];

export interface Wanted {
  /** As it goes over the wire, one byte a character; an IPv6 address in brackets. */
  readonly host: string;
  /** Default: 443 for `connect`, else 80. */
  readonly port?: number;
  /** Lines such as `X-Lambda-Test: open-sesame`. `inside` sends them with the CONNECT. */
  readonly headers?: readonly string[];
  /** The client's own address; default 127.0.0.1. */
  readonly from?: string;
}

/** Asks on a new connection and gives the gateway's last answer: head and what came of the body. */
export async function ask(gateway: { port: number }, way: Way, wanted: Wanted): Promise<string> {
  const client = new RawClient(gateway.port, wanted.from ? { localAddress: wanted.from } : {});
  try {
    client.send(firstHead(way, wanted));
    const first = await client.until(/\r\n\r\n/);
    if (way !== 'inside' || verdictOf(first) !== '200') return first;
    client.send(head('GET', '/', wanted.host, []));
    return behind(await client.until({ test: (text) => /\r\n\r\n/.test(behind(text)) }));
  } finally {
    client.close();
  }
}

/** What became of it: `403 no-matching-rule`, `502 connect-failed`, or a status alone where the answer is another's. */
export async function verdict(
  gateway: { port: number },
  way: Way,
  wanted: Wanted,
): Promise<string> {
  return verdictOf(await ask(gateway, way, wanted));
}

export function verdictOf(answer: string): string {
  const match = /^HTTP\/1\.1 (\d{3})(?: [^:\r]*: ([a-z-]+) \(sekisho )?/.exec(answer);
  return [match?.[1], match?.[2]].filter((part) => part !== undefined).join(' ');
}

function firstHead(way: Way, { host, port, headers = [] }: Wanted): string {
  const authority = port === undefined ? host : `${host}:${port}`;
  switch (way) {
    case 'connect':
      return head('CONNECT', `${host}:${port ?? 443}`, `${host}:${port ?? 443}`, headers);
    case 'inside':
      return head('CONNECT', `${host}:80`, `${host}:80`, headers);
    case 'absolute':
      return head('GET', `http://${authority}/`, authority, headers);
    case 'origin':
      return head('GET', '/', authority, headers);
  }
}

/** A whole request without body. */
export function head(
  method: string,
  target: string,
  host: string,
  headers: readonly string[],
): string {
  return [`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...headers, '', ''].join('\r\n');
}

/** What follows the answer to a CONNECT. */
export function behind(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}
