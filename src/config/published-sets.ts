import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { Merged } from './merge.ts';
import type { PublishedSetConfig, RangesFilter, RangesProvider } from './ranges-config.ts';
import { ALWAYS, choice, line, oneOrMore, parsed, says, section } from './shape.ts';
import { timeout } from './units.ts';

/** Where each provider publishes, and what its list can be filtered by. Azure's address changes every week. */
const PROVIDERS: Readonly<
  Record<RangesProvider, { url: string | undefined; filters: readonly RangesFilter[] }>
> = {
  aws: {
    url: 'https://ip-ranges.amazonaws.com/ip-ranges.json',
    filters: ['service', 'region', 'borderGroup'],
  },
  azure: { url: undefined, filters: ['service', 'region'] },
  cloudflare: { url: 'https://api.cloudflare.com/client/v4/ips', filters: [] },
  fastly: { url: 'https://api.fastly.com/public-ip-list', filters: [] },
  github: { url: 'https://api.github.com/meta', filters: ['service'] },
  google: { url: 'https://www.gstatic.com/ipranges/cloud.json', filters: ['service', 'region'] },
  plain: { url: undefined, filters: [] },
};

/** @throws Fault: whoever can change a list in transit chooses who passes */
export function parseListUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'http:') {
    throw new Fault(
      `${quote(text)} can be changed by anybody on the way`,
      'write https://, or fetch it by other means and name the file',
    );
  }
  if (url?.protocol === 'https:' && url.username === '' && url.password === '') return url.href;
  throw new Fault('this is not the URL of a list', 'write https://host/path');
}

const words = oneOrMore(line);

export const publishedSetSchema = section({
  provider: choice(['aws', 'azure', 'cloudflare', 'fastly', 'github', 'google']).optional(),
  url: parsed(parseListUrl, 'In place of the address that the provider publishes at.').optional(),
  file: line.optional(),
  service: words.optional(),
  region: words.optional(),
  borderGroup: words.optional(),
  family: choice(['ipv4', 'ipv6']).optional(),
  maxAge: timeout.prefault('1d'),
  tooOld: choice(['keep', 'close']).default('keep'),
}).superRefine((written, context) => {
  const message = placeFault(written) ?? filterFault(written);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
}, ALWAYS);

type Written = z.output<typeof publishedSetSchema>;
type Unchecked = Readonly<{ [Key in keyof Written]?: unknown }>;

function providerOf(written: Unchecked): RangesProvider {
  const { provider } = written;
  return typeof provider === 'string' && provider in PROVIDERS
    ? (provider as RangesProvider)
    : 'plain';
}

function placeFault(written: Unchecked): string | undefined {
  const provider = providerOf(written);
  if (written.url !== undefined && written.file !== undefined) {
    return says('a list has one place', 'keep one of url and file');
  }
  if (written.url !== undefined || written.file !== undefined) return undefined;
  if (PROVIDERS[provider].url !== undefined) return undefined;
  return provider === 'azure'
    ? says('Azure publishes at another address every week', 'name a url or a file')
    : says('this names no list', 'write a provider, a url or a file');
}

function filterFault(written: Unchecked): string | undefined {
  const provider = providerOf(written);
  const { filters } = PROVIDERS[provider];
  const useless = (['service', 'region', 'borderGroup'] as const).find(
    (filter) => written[filter] !== undefined && !filters.includes(filter),
  );
  if (useless === undefined) return undefined;
  const list = provider === 'plain' ? 'a plain list' : `the list of ${provider}`;
  return says(`${list} cannot be filtered by ${useless}`, `remove ${useless}`);
}

/** @param path of the section, as steps in the files */
export function toPublishedSet(
  written: Written,
  merged: Merged,
  path: readonly (string | number)[],
): PublishedSetConfig {
  const provider = providerOf(written);
  const { family } = written;
  return {
    provider,
    from: placeOf(written, provider, dirname(merged.at(path).file)),
    filters: {
      service: written.service ?? [],
      region: written.region ?? [],
      borderGroup: written.borderGroup ?? [],
    },
    family: family === undefined ? undefined : family === 'ipv4' ? 4 : 6,
    maxAgeMs: written.maxAge,
    tooOld: written.tooOld,
  };
}

function placeOf(
  { url, file }: Written,
  provider: RangesProvider,
  folder: string,
): PublishedSetConfig['from'] {
  if (file !== undefined) return { kind: 'file', path: resolve(folder, file) };
  return { kind: 'url', url: url ?? (PROVIDERS[provider].url as string) };
}
