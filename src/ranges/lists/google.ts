import { z } from 'zod';
import type { PublishedList } from '../published.ts';
import { readJson } from './json.ts';
import { publishedNetwork } from './network.ts';

const labels = { service: z.string().optional(), scope: z.string().optional() };
const shape = z.object({
  syncToken: z.string().regex(/^\d+$/),
  prefixes: z.array(
    z.union([
      z.object({ ipv4Prefix: z.string(), ...labels }).transform(toPrefix('ipv4Prefix')),
      z.object({ ipv6Prefix: z.string(), ...labels }).transform(toPrefix('ipv6Prefix')),
    ]),
  ),
});

function toPrefix<Key extends string>(key: Key) {
  return (
    entry: Record<Key, string> & { service?: string | undefined; scope?: string | undefined },
  ) => ({
    prefix: entry[key],
    service: entry.service,
    scope: entry.scope,
  });
}

/**
 * `cloud.json`, the addresses of Google Cloud's customers, whose scope is a region; `goog.json` has neither service nor scope.
 *
 * @see https://cloud.google.com/compute/docs/faq#find_ip_range
 */
export function readGoogle(text: string): PublishedList {
  const { syncToken, prefixes } = readJson(text, shape);
  return {
    token: BigInt(syncToken),
    prefixes: prefixes.map(({ prefix, service, scope }) => ({
      network: publishedNetwork(prefix),
      labels: {
        ...(service !== undefined && { service: [service] }),
        ...(scope !== undefined && { region: [scope] }),
      },
    })),
  };
}
