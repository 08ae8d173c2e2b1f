import { z } from 'zod';
import type { PublishedList } from '../published.ts';
import { readJson } from './json.ts';
import { publishedNetwork } from './network.ts';

const labels = { region: z.string(), service: z.string(), network_border_group: z.string() };
const shape = z.object({
  syncToken: z.string().regex(/^\d+$/),
  prefixes: z.array(z.object({ ip_prefix: z.string(), ...labels })),
  ipv6_prefixes: z.array(z.object({ ipv6_prefix: z.string(), ...labels })),
});

/**
 * `ip-ranges.json`. A network stands in it once for each service that uses it, and once more as `AMAZON`.
 *
 * @see https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html
 */
export function readAws(text: string): PublishedList {
  const { syncToken, prefixes, ipv6_prefixes } = readJson(text, shape);
  const prefixed = [
    ...prefixes.map((entry) => ({ ...entry, prefix: entry.ip_prefix })),
    ...ipv6_prefixes.map((entry) => ({ ...entry, prefix: entry.ipv6_prefix })),
  ];
  return {
    token: BigInt(syncToken),
    prefixes: prefixed.map(({ prefix, service, region, network_border_group: borderGroup }) => ({
      network: publishedNetwork(prefix),
      labels: { service: [service], region: [region], borderGroup: [borderGroup] },
    })),
  };
}
