import type { z } from 'zod';
import { type Authority, parseAuthority } from '../core/destination.ts';
import { Fault, quote } from '../core/diagnostic.ts';
import { Refusal } from '../core/refusal.ts';
import { readCertificates } from './certificates.ts';
import type { ParentProxyConfig, Position } from './config.ts';
import type { Names } from './names.ts';
import { choice, line, parsed, says, section } from './shape.ts';
import type { FileReader } from './surroundings.ts';

const EXAMPLE = 'write http://proxy.example:3128';

export interface ProxyUrl extends Authority {
  readonly isSecure: boolean;
  readonly port: number;
}

/**
 * `http://proxy.example:3128`, `https://[2001:db8::3]:3129`. The port must be written, since nobody agrees on a default.
 *
 * @throws Fault
 */
function parseProxyUrl(text: string): ProxyUrl {
  // Not quoted: what stands before the @ may be a password.
  if (text.includes('@')) {
    throw new Fault('the URL of a proxy holds no user', 'put it into credentials, and name it');
  }
  const match = /^(https?):\/\/([^/?#]*)(.*)$/i.exec(text);
  if (match === null) throw new Fault(`${quote(text)} is not the URL of a proxy`, EXAMPLE);
  const [, scheme = '', authority = '', rest = ''] = match;
  if (rest !== '' && rest !== '/') {
    throw new Fault(`${quote(text)} has a path`, `write ${scheme}://${authority}`);
  }
  const { host, port } = parsePlace(authority);
  if (port === undefined) throw new Fault(`${quote(text)} names no port`, EXAMPLE);
  return { host, port, isSecure: scheme.toLowerCase() === 'https' };
}

function parsePlace(text: string): Authority {
  try {
    return parseAuthority(text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Fault(`${quote(text)} is not the place of a proxy: ${error.message}`, EXAMPLE);
  }
}

export function parentProxySchema(names: Names) {
  return section({
    url: parsed(parseProxyUrl, 'http:// or https://, host and port.'),
    tls: section({ ca: section({ file: line }) }).optional(),
    credential: parsed((text) => names.useCredential(text)).optional(),
    resolve: choice(['local', 'parent']).default('local'),
  }).refine(({ url, tls }) => url.isSecure || tls === undefined, {
    path: ['tls'],
    params: { part: 'key' },
    error: says('"tls" has no meaning for http://', 'write https://, or remove it'),
  });
}

type Written = z.output<ReturnType<typeof parentProxySchema>>;

/** @param at where the file of the CA is named @param reader takes the fault of one that cannot be used */
export function toParentProxy(
  { url, tls, credential, resolve }: Written,
  at: () => Position,
  reader: FileReader,
): ParentProxyConfig {
  const { host, port, isSecure } = url;
  const ca = tls && readCertificates(tls.ca.file, at(), reader);
  return { host, port, tls: isSecure ? { ca } : undefined, credential, resolve };
}
