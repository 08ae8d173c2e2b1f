import { join } from 'node:path';
import { Command } from 'commander';
import { type CredentialUses, credentialUses } from '../audit/credential-uses.ts';
import { printable } from '../audit/printable.ts';
import type { CredentialConfig } from '../config/config.ts';
import { load } from '../config/load.ts';
import { compareText } from '../core/diagnostic.ts';
import {
  addRecordOptions,
  addTimeOptions,
  type FilterOptions,
  type RecordOptions,
  unreadable,
} from './audit-record.ts';
import { type Output, print } from './output.ts';

type Options = RecordOptions & Pick<FilterOptions, 'since' | 'until'> & { readonly json?: true };

/** A credential that ends within so many days is told. */
const SOON_MS = 30 * 86_400_000;

export function credentialsCommand(): Command {
  const command = new Command('credentials')
    .description(
      'who used which credential where, how often and last when; which are unused or end soon',
    )
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  sekisho audit credentials --since 30d\n')
    .exitOverride()
    .action((options: Options) => listCredentials(options, process.stdout, Date.now()));
  return addTimeOptions(addRecordOptions(command));
}

/** @param now milliseconds since the epoch */
export async function listCredentials(
  options: Options,
  output: Output,
  now: number,
): Promise<void> {
  const { config: file, dir, since: sinceMs, until: untilMs, json } = options;
  // Without a configuration nobody knows which ones there should be.
  const config = dir === undefined ? load(file, { env: process.env }).config : undefined;
  const folder = dir ?? join(config?.gateway.dataDir ?? '', 'audit');
  const uses = await credentialUses(folder, { sinceMs, untilMs }).catch((error: Error) => {
    throw unreadable(error);
  });
  const report = reportOf(uses, config?.credentials ?? [], now);
  await print(toLines(json ? [JSON.stringify(report)] : textOf(report)), output);
}

interface Report {
  readonly uses: readonly CredentialUses[];
  readonly unused: readonly string[];
  readonly ending: readonly { readonly credential: string; readonly lastDay: string }[];
}

function reportOf(
  uses: readonly CredentialUses[],
  credentials: readonly CredentialConfig[],
  now: number,
): Report {
  const used = new Set(uses.map(({ credential }) => credential));
  return {
    uses: [...uses].sort((a, b) => compareText(a.credential, b.credential) || b.count - a.count),
    unused: credentials.map(({ name }) => name).filter((name) => !used.has(name)),
    ending: credentials.flatMap(({ name, expiresMs = Number.POSITIVE_INFINITY }) =>
      expiresMs - now > SOON_MS
        ? []
        : [{ credential: name, lastDay: new Date(expiresMs).toISOString().slice(0, 10) }],
    ),
  };
}

const HEAD = ['credential', 'principal', 'destination', 'uses', 'unmasked', 'last', 'version'];

function textOf({ uses, unused, ending }: Report): string[] {
  const rows = uses.map(
    ({ credential, principal, destination, count, unmasked, last, version }) => {
      const counts = [String(count), String(unmasked)];
      const cells = [credential, principal ?? '-', destination ?? '-', ...counts, last];
      return [...cells, version ?? '-'].map(printable);
    },
  );
  return [
    ...(rows.length === 0 ? ['no request took on a credential'] : table([HEAD, ...rows])),
    ...unused.map((name) => `unused: ${name}`),
    ...ending.map(({ credential, lastDay }) => `ends ${lastDay}: ${credential}`),
  ];
}

/** In columns as wide as what is in them. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] as number))
      .join('  ')
      .trimEnd(),
  );
}

async function* toLines(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield `${line}\n`;
}
