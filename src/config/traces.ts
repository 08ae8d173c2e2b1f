import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import { Cidr } from '../core/ip.ts';
import type { Config, OtlpConfig } from './config.ts';
import type { Merged } from './merge.ts';
import { secretRef, toSecretRef } from './secret-ref.ts';
import { ALWAYS, line, parsed, says, section } from './shape.ts';

const HEADERS = ['traces', 'otlp', 'headers'] as const;
/** Where a collector takes spans (OTLP/HTTP), when only its host is named. */
const DEFAULT_PATH = '/v1/traces';

/** @throws Fault */
function parseCollector(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new Fault(`${quote(text)} is not the URL of a collector`, 'write https://host:4318');
  }
  // Not quoted: what is in the wrong place here is most likely a secret.
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new Fault(
      'the URL of a collector has a user, a query or a fragment',
      'send keys in headers, as { env: NAME } or { file: PATH }',
    );
  }
  if (url.pathname === '/') url.pathname = DEFAULT_PATH;
  return url;
}

const ratio = z.number().min(0).max(1);
const between = says('a ratio is a part of the whole', 'write a number from 0 to 1: 0.1');

const otlpSchema = section({
  url: parsed(parseCollector, 'Of an OTLP/HTTP collector. Without a path: /v1/traces.'),
  headers: z.record(z.string(), z.union([line, secretRef])).default({}),
  ratio: z
    .number()
    .refine((value) => ratio.safeParse(value).success, { error: between })
    .default(1),
}).superRefine(({ headers, url }, context) => {
  for (const [name, value] of Object.entries(headers ?? {})) {
    const fault = headerFault(name, typeof value !== 'string', url);
    if (fault === undefined) continue;
    const path = ['headers', name];
    context.addIssue({ code: 'custom', path, message: fault, params: { part: 'key' } });
  }
}, ALWAYS);

export const tracesSchema = section({ otlp: otlpSchema.optional() }).prefault({});

/** What the exporter itself sends, or HTTP. */
const TAKEN = new Set(
  'connection content-encoding content-length content-type host transfer-encoding user-agent'.split(
    ' ',
  ),
);
const SECRET_NAMES = /auth|cookie|key|password|secret|token/i;

function headerFault(name: string, secret: boolean, url: URL | undefined): string | undefined {
  // RFC 9110 5.6.2: token.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    return says(`${quote(name)} is not a header name`, 'write a name such as X-Scope-OrgID');
  }
  if (TAKEN.has(name.toLowerCase())) {
    return says(`the exporter sets ${quote(name)} itself`, 'remove it');
  }
  if (!secret && SECRET_NAMES.test(name)) {
    return says(
      `${quote(name)} looks like a secret, and a secret does not stand here in clear`,
      'write { env: NAME } or { file: PATH }',
    );
  }
  if (secret && url instanceof URL && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    return says(
      `the secret in ${quote(name)} would cross a network in clear`,
      'write https://, or run the collector on this host',
    );
  }
  return undefined;
}

const LOOPBACK = ['127.0.0.0/8', '::1'].map((text) => Cidr.parse(text) as Cidr);

function isLoopback(hostname: string): boolean {
  const address = Cidr.parse(hostname.replace(/^\[|\]$/g, ''));
  return hostname === 'localhost' || LOOPBACK.some((range) => address?.inside(range));
}

export function toTraces(
  { otlp }: z.output<typeof tracesSchema>,
  merged: Merged,
): Config['traces'] {
  return { otlp: otlp && toOtlp(otlp, merged) };
}

function toOtlp({ url, headers, ratio }: z.output<typeof otlpSchema>, merged: Merged): OtlpConfig {
  const folder = merged.folder(HEADERS);
  return {
    url: url.href,
    headers: new Map(
      Object.entries(headers).map(([name, value]) => [
        name.toLowerCase(),
        typeof value === 'string'
          ? value
          : toSecretRef(value, merged.at([...HEADERS, name]), folder),
      ]),
    ),
    ratio,
  };
}
