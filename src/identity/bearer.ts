import { DigestTable } from './digest.ts';
import type { CompileReader, Entry } from './entry.ts';
import { readProxyAuthorization } from './proxy-authorization.ts';

/** A token in `Proxy-Authorization: Bearer` (RFC 6750). */
export const compileBearer: CompileReader = (entries, secrets) => {
  const table = new DigestTable<Entry>(secrets.digest);
  for (const entry of entries) {
    const { bearer } = entry.config;
    if (bearer !== undefined) table.add(secrets.bytes(bearer.token), entry);
  }
  return {
    read(evidence) {
      const given = readProxyAuthorization(evidence);
      if (typeof given === 'string') return given;
      if (given?.scheme !== 'Bearer') return [];
      const found = table.find(given.credentials);
      return [{ what: 'the Bearer token', entries: found }];
    },
  };
};
