import { DigestTable } from './digest.ts';
import type { CompileReader, Entry } from './entry.ts';
import { readProxyAuthorization } from './proxy-authorization.ts';

/** User name and password in `Proxy-Authorization: Basic` (RFC 7617), in UTF-8. */
export const compileBasic: CompileReader = (entries, secrets) => {
  const table = new DigestTable<Entry>(secrets.digest);
  for (const entry of entries) {
    const { basic } = entry.config;
    if (basic !== undefined) table.add(pair(basic.username, secrets.bytes(basic.password)), entry);
  }
  return {
    read(evidence) {
      const given = readProxyAuthorization(evidence);
      if (typeof given === 'string') return given;
      if (given?.scheme !== 'Basic') return [];
      const presented = decode(given.credentials);
      if (presented === undefined) return 'the Basic credentials are not base64 of user:password';
      const entries = table.find(presented.toString('latin1'));
      return [{ what: 'the Basic credentials', entries }];
    },
  };
};

function pair(username: string, password: Buffer): Buffer {
  // The first colon ends the user name, so a configured name with a colon can never be the same bytes as another pair.
  if (username.includes(':')) throw new TypeError('a Basic user name cannot hold a colon');
  return Buffer.concat([Buffer.from(`${username}:`, 'utf8'), password]);
}

function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  // Node skips what is not base64 and takes missing padding: only what encodes back to itself is strict.
  if (bytes.toString('base64') !== text) return undefined;
  const hasControl = bytes.some((byte) => byte < 0x20 || byte === 0x7f);
  return hasControl || !bytes.includes(':') ? undefined : bytes;
}
