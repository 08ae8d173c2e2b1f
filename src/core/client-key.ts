import type { Ip } from './ip.ts';

/** What counts as one client where clients are counted: an IPv4 address, or the /64 that one IPv6 client can call from. */
export function clientKey(client: Ip): string {
  if (client.family === 4) return client.text;
  const [a, b] = client.words as [number, number];
  const groups = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff].map((group) => group.toString(16));
  return `${groups.join(':')}::/64`;
}
