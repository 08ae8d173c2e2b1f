import { z } from 'zod';
import type { PublishedList } from '../published.ts';
import { RangesError } from '../ranges-error.ts';
import { readJson } from './json.ts';
import { isNetwork, publishedNetwork } from './network.ts';

const shape = z.record(z.string(), z.unknown());

/**
 * `meta`: lists of networks by what GitHub does from them (`hooks`, `actions`), among lists of other things (`ssh_keys`).
 *
 * @see https://docs.github.com/rest/meta/meta
 */
export function readGithub(text: string): PublishedList {
  const entries = Object.entries(readJson(text, shape));
  return {
    token: undefined,
    prefixes: entries.flatMap(([key, list]) => {
      if (!Array.isArray(list) || !list.some(isNetwork)) return [];
      const stranger = list.findIndex((entry) => !isNetwork(entry));
      if (stranger >= 0) {
        throw new RangesError('ranges-refused', `entry ${stranger} of ${key} is not a network`);
      }
      return list.map((entry) => ({
        network: publishedNetwork(String(entry)),
        labels: { service: [key] },
      }));
    }),
  };
}
