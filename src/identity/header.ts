import { DigestTable } from './digest.ts';
import type { CompileReader, Entry, Presented, Secrets } from './entry.ts';

/** A header whose value only the principal knows. Several values are accepted while one replaces the other. */
export const compileHeaders: CompileReader = (entries, secrets) => {
  const tables = tablesByName(entries, secrets);
  return {
    read(evidence) {
      const presented: Presented[] = [];
      for (const [name, table] of tables) {
        const values = evidence.header(name);
        // Two values let the one who reads the first and the one who reads the last disagree about who is calling.
        if (values.length > 1) return `the header ${name} is sent more than once`;
        for (const value of values) {
          const found = table.find(value);
          presented.push({ what: `the header ${name}`, entries: found });
        }
      }
      return presented;
    },
  };
};

function tablesByName(entries: readonly Entry[], secrets: Secrets) {
  const tables = new Map<string, DigestTable<Entry>>();
  for (const entry of entries) {
    const { header } = entry.config;
    if (header === undefined) continue;
    const name = header.name.toLowerCase();
    const table = tables.get(name) ?? new DigestTable<Entry>(secrets.digest);
    tables.set(name, table);
    for (const value of header.values) table.add(secrets.bytes(value), entry);
  }
  return tables;
}
