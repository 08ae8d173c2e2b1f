/**
 * Builds the native tunnel where that is possible; npm runs it at install. It never fails and fetches nothing: where it cannot
 * build, a gateway takes the one that the release has prebuilt, if that is for its platform, or passes bytes in JavaScript. It says
 * which when it starts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [built, target] = [join(here, 'build'), join(here, 'tunnel.node')];
const { SEKISHO_NATIVE, npm_config_node_gyp: nodeGyp, npm_config_nodedir: nodeDir } = process.env;

const obstacle = build();
if (obstacle !== undefined)
  process.stderr.write(
    `sekisho: the native tunnel is not built here, a gateway says at its start what it does instead: ${obstacle}\n`,
  );

/** @returns what stood in the way */
function build() {
  // One of yesterday would stand for what cannot be built today.
  rmSync(target, { force: true });
  if (SEKISHO_NATIVE === 'off') return 'SEKISHO_NATIVE is off';
  if (process.platform !== 'linux') return `it is for Linux, and this is ${process.platform}`;
  if (nodeGyp === undefined) return 'it is built by npm alone: npm rebuild';
  const headers = [dirname(dirname(process.execPath)), nodeDir, '/usr'].find(hasHeaders);
  // node-gyp would fetch them.
  if (headers === undefined) return "Node's headers are not here: npm config set nodedir FOLDER";
  try {
    return compile(headers);
  } catch (error) {
    return error.message;
  } finally {
    rmSync(built, { recursive: true, force: true });
  }
}

function compile(headers) {
  const { status, error, stdout, stderr } = spawnSync(
    process.execPath,
    [nodeGyp, 'rebuild', `--nodedir=${headers}`, '--loglevel=error'],
    { cwd: here, encoding: 'utf8' },
  );
  if (error !== undefined) return error.message;
  if (status !== 0) return `it does not compile here:\n${stdout}${stderr}`;
  renameSync(join(built, 'Release', 'tunnel.node'), target);
  return undefined;
}

function hasHeaders(folder) {
  return folder !== undefined && existsSync(join(folder, 'include', 'node', 'node_api.h'));
}
