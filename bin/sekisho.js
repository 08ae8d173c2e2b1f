#!/usr/bin/env node
// Plain syntax that Node 12 parses, so that an old Node gets a sentence and not a stack trace: no `?.`, no top-level await.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const engines = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node;

if (covers(engines, process.versions.node)) start();
else restart(ownNode());

/** Whether a range made of `^x.y.z` and `>=x.y.z` alternatives, as `engines` is, holds a version. */
function covers(range, version) {
  return range.split('||').some((alternative) => {
    const [have, least] = [numbers(version), numbers(alternative)];
    if (alternative.trim().startsWith('^') && have[0] !== least[0]) return false;
    const differs = least.findIndex((number, i) => number !== have[i]);
    return differs < 0 || have[differs] > least[differs];
  });
}

function numbers(text) {
  return text.match(/\d+/g).map(Number);
}

/** The Node that a checkout or the folder of an installation brings along, unless it is this very one. */
function ownNode() {
  const folders = [join(root, 'node_modules')];
  if (basename(dirname(root)) === 'node_modules') folders.push(dirname(root));
  return folders
    .map((folder) => join(folder, '.bin', 'node'))
    .find((node) => existsSync(node) && realpathSync(node) !== process.execPath);
}

function restart(node) {
  if (node === undefined) {
    process.stderr.write(`sekisho: needs Node ${engines}, this is ${process.versions.node}\n`);
    process.exit(2);
  }
  // Listened to before there is a child, so that no signal finds this process without a handler.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2'])
    process.on(signal, () => child.kill(signal));
  // A terminal sends this one to the child as well, where a second would mean "at once".
  process.on('SIGINT', () => {});
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  child.on('error', (error) => {
    process.stderr.write(`sekisho: cannot start ${node}: ${error.message}\n`);
    process.exit(2);
  });
  child.on('exit', (code, signal) => {
    // A shell's form for "ended by a signal", which a handler above keeps this process from passing on as it was.
    process.exit(signal === null ? code : 128 + constants.signals[signal]);
  });
}

/** A checkout runs its sources, never a `dist` of yesterday. The published package has no `src`. */
function start() {
  const source = join(root, 'src', 'cli', 'main.ts');
  const main = existsSync(source) ? source : join(root, 'dist', 'cli', 'main.js');
  import(pathToFileURL(main).href).then((cli) => cli.main(process.argv.slice(2)));
}
