import { join } from 'node:path';
import { Command } from 'commander';
import pc from 'picocolors';
import type { Note, Problem } from '../audit/finding.ts';
import { printable } from '../audit/printable.ts';
import { readVerifyingKey } from '../audit/signing-key.ts';
import { type Verification, verifyAudit } from '../audit/verify.ts';
import { load } from '../config/load.ts';
import { addRecordOptions, type RecordOptions, unreadable } from './audit-record.ts';
import { EXIT } from './exit-codes.ts';
import type { Output } from './output.ts';

interface VerifyOptions extends RecordOptions {
  readonly anchor?: string;
  readonly key?: readonly string[];
  readonly json?: true;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('prove that no line of the record was changed, removed, added or moved')
    .option('--anchor <path>', 'a copied checkpoint, or a folder of them; default: copyTo')
    .option('--key <file>', 'the public key in PEM; may be repeated', collect)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  sekisho audit verify --dir var/audit --anchor /mnt/evidence --key audit.pub\n',
    )
    .exitOverride()
    .action(async (options: VerifyOptions) => {
      const { ok } = await verify(options, process.stdout, process.stderr);
      process.exitCode = ok ? EXIT.done : EXIT.found;
    });
  return addRecordOptions(command);
}

function collect(path: string, paths: readonly string[] = []): string[] {
  return [...paths, path];
}

export async function verify(
  options: VerifyOptions,
  output: Output,
  progress: Output,
): Promise<Verification> {
  const { dir, checkpoint } = locate(options);
  const verification = await verifyAudit({
    dir,
    anchors: options.anchor ?? checkpoint?.copyTo,
    keys: (options.key ?? (checkpoint === undefined ? [] : [checkpoint.key])).map(readVerifyingKey),
    progress: showProgress(progress),
  }).catch((error: Error) => {
    throw unreadable(error);
  });
  output.write(
    options.json
      ? `${JSON.stringify({ dir, ...verification })}\n`
      : verificationText(verification, output.isTTY === true && pc.isColorSupported),
  );
  return verification;
}

function locate({ config: file, dir }: RecordOptions) {
  if (dir !== undefined) return { dir, checkpoint: undefined };
  const { config } = load(file, { env: process.env });
  return { dir: join(config.gateway.dataDir, 'audit'), checkpoint: config.audit.checkpoint };
}

const SHOW_EVERY_MS = 2_000;

/** Tells how far it is, once it takes long enough for somebody to wonder. */
function showProgress(output: Output): (done: number, total: number) => void {
  let shown = performance.now();
  return (done, total) => {
    const now = performance.now();
    if (now - shown < SHOW_EVERY_MS) return;
    shown = now;
    const share = Math.floor((100 * done) / total);
    output.write(`verifying: ${share} % of ${Math.round(total / 1e6)} MB\n`);
  };
}

function verificationText(verification: Verification, isColored: boolean): string {
  const colors = pc.createColors(isColored);
  const { ok, segments, lines, checkpoints, lastCheckpoint, problems, unlisted, notes } =
    verification;
  const whole = ok ? colors.green('whole') : colors.red('not whole');
  const proof =
    lastCheckpoint === null
      ? 'no checkpoint'
      : `${checkpoints} checkpoints, the last of ${lastCheckpoint.time}`;
  return [
    ...problems.map(
      (problem) =>
        `${colors.bold(place(problem))}: ${colors.red(printable(problem.what))}${between(problem)}`,
    ),
    ...(unlisted > 0 ? [`and ${unlisted} more`] : []),
    ...notes.map((note) => `${colors.bold(place(note))}: note: ${printable(note.what)}`),
    `${whole}: ${segments} segments, ${lines} lines, ${proof}`,
    '',
  ].join('\n');
}

function place({ file, line }: Note): string {
  return printable(line === null ? file : `${file}:${line}`);
}

/** Where in time the damaged place stands. */
function between({ after, before }: Problem): string {
  const marks = [
    after && `after checkpoint ${after.number} of ${after.time}`,
    before && `before checkpoint ${before.number} of ${before.time}`,
  ].filter(Boolean);
  return marks.length === 0 ? '' : `; it stands ${printable(marks.join(' and '))}`;
}
