import { z } from 'zod';
import type { PublishedList } from '../published.ts';
import { readJson } from './json.ts';
import { publishedNetwork } from './network.ts';

const shape = z.object({ addresses: z.array(z.string()), ipv6_addresses: z.array(z.string()) });

/** @see https://www.fastly.com/documentation/reference/api/utils/public-ip-list/ */
export function readFastly(text: string): PublishedList {
  const { addresses, ipv6_addresses } = readJson(text, shape);
  return {
    token: undefined,
    prefixes: [...addresses, ...ipv6_addresses].map((prefix) => ({
      network: publishedNetwork(prefix),
      labels: {},
    })),
  };
}
