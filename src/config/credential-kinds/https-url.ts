import { Fault, quote } from '../../core/diagnostic.ts';
import { parsed } from '../shape.ts';

/** @throws Fault */
function parseHttpsUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // Not quoted: what stands before the @ may be a password.
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    throw new Fault('the URL of a service holds no user', 'remove what stands before the @');
  }
  if (url?.protocol === 'https:' && url.hash === '') return url;
  throw new Fault(`${quote(text)} is not the URL of a service over TLS`, 'write https://host/path');
}

export const httpsUrl = parsed(parseHttpsUrl, 'https://');
