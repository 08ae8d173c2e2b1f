/**
 * Makes a release of a commit, and checks one:
 *
 *     npm run release -- --key release.key [--commit HEAD] [--out release] [--builder URI]
 *     npm run release -- --verify --public-key release.pub [--out release]
 *
 * It takes Linux on x64 with glibc: the tarball holds the native tunnel, prebuilt for that. A release is the tarball for npm, its SBOM, its provenance signed with an Ed25519 key, and their sums. The tarball is
 * packed twice and must be the same, byte for byte. CONTRIBUTING.md says how to make the key.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './release/build.ts';
import { sha256 } from './release/sums.ts';
import { verifyRelease } from './release/verify.ts';

const { values } = parseArgs({
  options: {
    verify: { type: 'boolean', default: false },
    out: { type: 'string', default: 'release' },
    key: { type: 'string' },
    'public-key': { type: 'string' },
    commit: { type: 'string', default: 'HEAD' },
    builder: { type: 'string', default: 'urn:sekisho:builder:by-hand' },
    // Installed by `npm ci` from the same lock file, which is checked: saves installing it once more.
    modules: { type: 'string' },
  },
});
const out = resolve(values.out);
const repository = join(import.meta.dirname, '..');

if (values.verify) verify(ed25519(createPublicKey(read('public-key'))));
else make(ed25519(createPrivateKey(read('key'))));

function make(key: KeyObject): void {
  if (existsSync(out)) throw new Error(`${out} is there already; --out takes another folder`);
  const work = mkdtempSync(join(tmpdir(), 'sekisho-release-'));
  try {
    const { commit, builder } = values;
    const modules = values.modules && resolve(values.modules);
    const files = build(work, key, { repository, commit, builder, modules });
    mkdirSync(out, { recursive: true });
    for (const [name, bytes] of files) writeFileSync(join(out, name), bytes, { flag: 'wx' });
    for (const [name, bytes] of files) say(`${sha256(bytes)}  ${join(out, name)}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function verify(key: KeyObject): void {
  const problems = verifyRelease(out, key);
  for (const problem of problems) say(problem);
  if (problems.length === 0) say(`${out}: whole, and signed by this key`);
  else process.exitCode = 1;
}

function read(option: 'key' | 'public-key'): Buffer {
  const path = values[option];
  if (path === undefined) throw new Error(`--${option} is missing: a file in PEM`);
  return readFileSync(path);
}

function ed25519(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new Error(
    `the key is of type ${key.asymmetricKeyType}; openssl genpkey -algorithm ed25519`,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
