import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { SekishoError } from '../core/errors.ts';
import { functionCode } from '../lambda/bundle/code.ts';
import { zip } from '../lambda/bundle/zip.ts';
import { FUNCTIONS, HANDLER, RUNTIME } from '../lambda/functions.ts';

interface Options {
  readonly output?: string;
  readonly policy?: string;
  readonly add: readonly string[];
  readonly json?: true;
}

export function bundleCommand(): Command {
  const names = Object.entries(FUNCTIONS).map(([name, { says }]) => `  ${name.padEnd(10)} ${says}`);
  return new Command('bundle')
    .description('a zip of a function, ready to deploy; of the same files always the same')
    .argument('<function>', `one of: ${Object.keys(FUNCTIONS).join(', ')}`)
    .option('-o, --output <file>', 'the zip; default: FUNCTION.zip')
    .option('--policy <file>', 'a policy, which goes in as sekisho.yaml')
    .option('--add <file...>', 'what the policy names by a relative path, such as a CA', [])
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `\nFunctions:\n${names.join('\n')}\n\nExample:\n  sekisho lambda bundle sign --policy sekisho.yaml\n`,
    )
    .exitOverride()
    .action((name: string, options: Options) => writeBundle(name, options));
}

async function writeBundle(name: string, options: Options): Promise<void> {
  const { policy, add, output = `${name}.zip`, json } = options;
  const bytes = zip([
    { name: 'index.js', content: await functionCode(name) },
    ...(policy === undefined ? [] : [{ name: 'sekisho.yaml', content: read(policy) }]),
    ...add.map((file) => ({ name: basename(file), content: read(file) })),
  ]);
  write(output, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const facts = { file: output, bytes: bytes.length, sha256, handler: HANDLER, runtime: RUNTIME };
  const lines = Object.entries(facts).map(([key, value]) => `${key.padEnd(8)} ${value}`);
  process.stdout.write(json ? `${JSON.stringify(facts)}\n` : `${lines.join('\n')}\n`);
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new SekishoError(
      'file-unreadable',
      `${file} cannot be read: ${(error as Error).message}`,
    );
  }
}

function write(file: string, bytes: Buffer): void {
  try {
    writeFileSync(file, bytes);
  } catch (error) {
    throw new SekishoError(
      'file-unwritable',
      `${file} cannot be written: ${(error as Error).message}`,
    );
  }
}
