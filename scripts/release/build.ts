import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { seal } from './dsse.ts';
import { readInstalled, readLock } from './lock.ts';
import { NAMES } from './names.ts';
import { COMPILER, PREBUILT, prebuild } from './native.ts';
import { describeBuild } from './provenance.ts';
import { writeSbom } from './sbom.ts';
import { extract, installLocked, lockRuntime, pack, readSource } from './source.ts';
import { sumsOf } from './sums.ts';

interface Order {
  readonly repository: string;
  /** A revision as git reads it. */
  readonly commit: string;
  /** A URI that says who builds. */
  readonly builder: string;
  /** An installed `node_modules` to build with. Must be as locked. Without it, one is installed. */
  readonly modules: string | undefined;
}

/**
 * @param work an empty folder
 * @param key signs the provenance
 * @returns the files of the release, by name
 * @throws Error where two builds differ, or where what is installed is not what is locked
 */
export function build(work: string, key: KeyObject, order: Order): Map<string, Buffer> {
  const startedOn = new Date();
  const source = readSource(order.repository, order.commit);
  const [first, second] = [join(work, 'first'), join(work, 'second')];
  extract(source, first);
  extract(source, second);
  const modules = order.modules ?? installLocked(first);
  const lock = readLock(readFileSync(join(first, 'package-lock.json'), 'utf8'));
  const installed = readInstalled(modules, lock);

  const runtime = lockRuntime(first, join(work, 'runtime'));
  const machineCode = new Map([[PREBUILT, prebuild(first, modules)]]);
  prebuild(second, modules);
  const tarball = pack(first, modules, runtime);
  if (!tarball.bytes.equals(pack(second, modules, runtime).bytes))
    throw new Error('packed twice, the tarball differs: the build depends on more than the commit');
  const files = new Map([
    [tarball.name, tarball.bytes],
    [NAMES.sbom, writeSbom(runtime, tarball.bytes, machineCode, source.time)],
  ]);

  const statement = describeBuild(new Map([...files, ...machineCode]), {
    commit: source.commit,
    builder: order.builder,
    versions: Object.fromEntries(
      ['node', 'npm', COMPILER].map((program) => [program, version(modules, program)]),
    ),
    installed,
    startedOn,
    finishedOn: new Date(),
  });
  files.set(NAMES.provenance, Buffer.from(`${JSON.stringify(seal(statement, key))}\n`));
  return files.set(NAMES.sums, Buffer.from(sumsOf(files)));
}

function version(modules: string, program: string): string {
  const [line = ''] = run(modules, [program, '--version'], [join(modules, '.bin')]).split('\n');
  return line;
}
