import type { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { Refusal } from '../core/refusal.ts';
import { readCertificates } from './certificates.ts';
import type { CredentialConfig, CredentialReceiver } from './config.ts';
import { KIND_KEYS, KINDS, toKind } from './credential-kinds/kinds.ts';
import type { Merged } from './merge.ts';
import { ALWAYS, choice, line, named, parsed, says, section } from './shape.ts';
import type { FileReader } from './surroundings.ts';
import { parseLastDay, timeout } from './units.ts';
import type { Path } from './yaml-document.ts';

/** The host that a credential is for, or with a dot in front all below and itself. @throws Fault */
function parseReceiver(text: string): CredentialReceiver {
  try {
    const ip = Ip.parse(text);
    if (ip !== undefined) return { kind: 'address', ip };
    const [, stars, name = ''] = /^(\*?\.)?(.*)$/s.exec(text) ?? [];
    const host = Hostname.parseWritten(name);
    if (stars === undefined) return { kind: 'host', host };
    return { kind: 'suffix', suffix: host, apex: stars === '.' };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Fault(
      `${quote(text)} is not a host: ${error.message}`,
      'write the one host that it is for, without scheme and port',
    );
  }
}

/** As ssm-sign-proxy has it: `/production`. @throws Fault */
function parsePrefix(text: string): string {
  if (text === '/') return '';
  if (/^(?:\/[A-Za-z0-9_.-]+)+$/.test(text)) return text;
  throw new Fault(`${quote(text)} is not a prefix of parameters`, 'write /production');
}

const { basic, header, query, path, sigv4, oauth2, githubApp, hmac } = KINDS;

const credential = section({
  for: parsed(parseReceiver, 'The only destination that it is ever sent to.').optional(),
  basic: basic.schema.optional(),
  header: header.schema.optional(),
  query: query.schema.optional(),
  path: path.schema.optional(),
  sigv4: sigv4.schema.optional(),
  oauth2: oauth2.schema.optional(),
  githubApp: githubApp.schema.optional(),
  hmac: hmac.schema.optional(),
  convention: choice(['parameter-store']).optional(),
  prefix: parsed(parsePrefix).optional(),
  tls: section({ ca: section({ file: line }) }).optional(),
  redact: choice(['readable', 'strict']).default('readable'),
  ttl: timeout.prefault('5m'),
  expires: parsed(parseLastDay, 'The last day, UTC: 2027-03-31.').optional(),
}).superRefine((written, context) => {
  for (const { path, message } of kindFaults(written)) {
    context.addIssue({ code: 'custom', path, message, params: { part: 'key' } });
  }
}, ALWAYS);

function kindFaults(written: Readonly<Record<string, unknown>>) {
  const faults: { path: string[]; message: string }[] = [];
  const add = (path: string[], message: string, remedy: string) =>
    faults.push({ path, message: says(message, remedy) });
  const kinds = [...KIND_KEYS, 'convention'].filter((key) => written[key] !== undefined);
  const [first, second] = kinds;
  if (first === undefined) {
    add([], 'this credential is of no kind', `write one of ${KIND_KEYS.join(', ')}, convention`);
  }
  if (second !== undefined)
    add([second], `${quote(first as string)} says already what it is`, 'keep one of the two');
  const byConvention = written.convention !== undefined;
  if (written.for === undefined && !byConvention) {
    add([], '"for" is missing', 'write the one host that it is for');
  }
  if (byConvention && written.prefix === undefined) {
    add(
      ['convention'],
      '"prefix" is missing',
      'write the path of the parameters: prefix: /production',
    );
  }
  if (written.prefix !== undefined && !byConvention) {
    add(['prefix'], '"prefix" has a meaning with a convention only', 'remove it');
  }
  const receiver = written.for as CredentialReceiver | undefined;
  if (receiver?.kind === 'suffix' && first !== 'sigv4' && !byConvention) {
    const remedy = 'write the one host; another host has a credential of its own';
    add(['for'], 'a secret that is shown goes to one host only', remedy);
  }
  return faults;
}

export const credentialsSchema = named(credential).prefault({});

type Written = z.output<typeof credential>;

/** @param reader reads the certificates that destinations are verified by, and takes the faults in them */
export function toCredentials(
  written: z.output<typeof credentialsSchema>,
  merged: Merged,
  reader: FileReader,
): CredentialConfig[] {
  return Object.entries(written).map(([name, one]) =>
    toCredential(name, one, ['credentials', name], merged, reader),
  );
}

function toCredential(
  name: string,
  written: Written,
  path: Path,
  merged: Merged,
  reader: FileReader,
): CredentialConfig {
  const key = KIND_KEYS.find((one) => written[one] !== undefined);
  const kind =
    key === undefined
      ? ({ kind: 'parameterStore', prefix: written.prefix ?? '' } as const)
      : toKind(key, written, { path, merged });
  const { tls, redact, ttl, expires } = written;
  const caAt = () => merged.at([...path, 'tls', 'ca', 'file']);
  return {
    name,
    for: written.for,
    kind,
    ca: tls && readCertificates(tls.ca.file, caAt(), reader),
    redact,
    ttlMs: ttl,
    expiresMs: expires,
    at: merged.at(path, 'key'),
  };
}
