import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import type { OutcomeEvent, SuppressedEvent } from '../audit/event.ts';
import { SekishoError } from '../core/errors.ts';
import { type AdminClient, findAdmin } from './admin-client.ts';
import { credentialsCommand } from './audit-credentials.ts';
import { exportCommand } from './audit-export.ts';
import { searchCommand } from './audit-search.ts';
import { verifyCommand } from './audit-verify.ts';
import { eventLine } from './event-line.ts';

interface TailOptions {
  readonly last: number;
  readonly follow: boolean;
  readonly json?: true;
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('the record of every exchange')
    .addCommand(credentialsCommand())
    .addCommand(exportCommand())
    .addCommand(searchCommand())
    .addCommand(tailCommand())
    .addCommand(verifyCommand());
}

function tailCommand(): Command {
  return new Command('tail')
    .description('show the latest exchanges, then each one as it ends')
    .option('-c, --config <file>', 'the configuration of the gateway', 'sekisho.yaml')
    .option('-n, --last <count>', 'how many of the latest to begin with', parseCount, 10)
    .option('--no-follow', 'end after the latest')
    .option('--json', 'print every event as it stands in the record: JSON Lines')
    .addHelpText('after', '\nExample:\n  sekisho audit tail -n 100 --no-follow\n')
    .exitOverride()
    .action(async ({ config, ...options }: TailOptions & { config: string }) => {
      await tailAudit(await findAdmin(config), options, process.stdout);
    });
}

const MOST = 10_000;

function parseCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= MOST) return count;
  throw new InvalidArgumentError(`It must be a number from 0 to ${MOST}.`);
}

/** Prints until the latest are out, the gateway goes, or nobody reads on. */
export async function tailAudit(
  admin: AdminClient,
  { last, follow, json }: TailOptions,
  output: Writable & { isTTY?: boolean },
): Promise<void> {
  const query = new URLSearchParams({ n: String(last), follow: follow ? '1' : '0' });
  if (!json)
    for (const type of ['outcome', 'suppressed', 'reload', 'refresh', 'ranges'])
      query.append('types', type);
  const response = await admin.get(`/v1/audit/tail?${query}`);
  const colors = pc.createColors(output.isTTY === true && pc.isColorSupported);
  const format = (line: string) =>
    json ? line : eventLine(JSON.parse(line) as OutcomeEvent | SuppressedEvent, colors);
  try {
    await pipeline(
      async function* () {
        for await (const line of createInterface(response)) yield `${format(line)}\n`;
        if (!response.complete) throw new Error('the connection broke');
      },
      output,
      { end: false },
    );
  } catch (error) {
    // `| head` has what it wanted.
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return;
    const message = `the gateway at ${admin.url} ended the tail: ${(error as Error).message}`;
    throw new SekishoError('admin-unreachable', message, { cause: error });
  } finally {
    response.destroy();
  }
}
