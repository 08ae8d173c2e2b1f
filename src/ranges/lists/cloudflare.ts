import { z } from 'zod';
import type { PublishedList } from '../published.ts';
import { readJson } from './json.ts';
import { publishedNetwork } from './network.ts';

const shape = z.object({
  success: z.literal(true),
  result: z.object({ ipv4_cidrs: z.array(z.string()), ipv6_cidrs: z.array(z.string()) }),
});

/** @see https://developers.cloudflare.com/api/resources/ips/ */
export function readCloudflare(text: string): PublishedList {
  const { ipv4_cidrs, ipv6_cidrs } = readJson(text, shape).result;
  return {
    token: undefined,
    prefixes: [...ipv4_cidrs, ...ipv6_cidrs].map((prefix) => ({
      network: publishedNetwork(prefix),
      labels: {},
    })),
  };
}
