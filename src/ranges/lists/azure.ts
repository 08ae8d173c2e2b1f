import { z } from 'zod';
import type { PublishedList } from '../published.ts';
import { readJson } from './json.ts';
import { publishedNetwork } from './network.ts';

const shape = z.object({
  changeNumber: z.int(),
  values: z.array(
    z.object({
      name: z.string(),
      properties: z.object({
        region: z.string(),
        systemService: z.string(),
        addressPrefixes: z.array(z.string()),
      }),
    }),
  ),
});

/**
 * A file of service tags. `service` means a tag (`AzureCloud.japaneast`) or a system service (`AzureStorage`).
 *
 * @see https://learn.microsoft.com/azure/virtual-network/service-tags-overview
 */
export function readAzure(text: string): PublishedList {
  const { changeNumber, values } = readJson(text, shape);
  return {
    token: BigInt(changeNumber),
    prefixes: values.flatMap(({ name, properties: { region, systemService, addressPrefixes } }) => {
      const service = systemService === '' ? [name] : [name, systemService];
      const labels = { service, ...(region !== '' && { region: [region] }) };
      return addressPrefixes.map((text) => ({ network: publishedNetwork(text), labels }));
    }),
  };
}
