import type { Ip } from '../core/ip.ts';

/** What one family may bring along: an answer over TCP can hold thousands, and each would be decided on and dialled. */
const MAX_PER_FAMILY = 16;

/**
 * The order in which addresses are dialled: families take turns, IPv6 first where there is one (RFC 8305 section 4), each in
 * the order it came in. Drops repetitions, and what exceeds 16 of a family.
 */
export function inDialOrder(ips: readonly Ip[]): readonly Ip[] {
  const unique = [...new Map(ips.map((ip) => [ip.text, ip])).values()];
  const v6 = unique.filter((ip) => ip.family === 6).slice(0, MAX_PER_FAMILY);
  const v4 = unique.filter((ip) => ip.family === 4).slice(0, MAX_PER_FAMILY);
  const ordered: Ip[] = [];
  for (let i = 0; i < Math.max(v6.length, v4.length); i++) {
    ordered.push(...v6.slice(i, i + 1), ...v4.slice(i, i + 1));
  }
  return ordered;
}
