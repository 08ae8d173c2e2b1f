/**
 * Runs the tests of sockets and tunnels with the native part under a sanitizer of gcc:
 *
 *     npm run sanitize:native -- address|thread
 *
 * In a copy of the sources, whose native part is built with it. Node itself is not instrumented: what is watched is
 * what the files of `native` do, and what it calls.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const SANITIZERS = {
  address: {
    flags: ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'],
    libraries: ['libasan.so', 'libubsan.so'],
    // Node leaves to the system what it has at its end.
    env: { ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1' },
  },
  thread: {
    flags: ['-fsanitize=thread'],
    libraries: ['libtsan.so'],
    // V8 hands work between threads in ways that cannot be seen from outside: only what names our file counts.
    env: { TSAN_OPTIONS: 'exitcode=0' },
  },
} as const;

/** Near the top of a stack: further down it is what JavaScript called, or what called it. */
const OURS = /^ +#[01] .*(?:(?:addon|sockets|tunnel)\.c:|tunnel\.node\+)/m;
/** Reports of V8's own are long, and many. */
const MOST_BYTES = 256 * 1024 * 1024;

const root = join(import.meta.dirname, '..');
const [, , name = ''] = process.argv;
if (!(name in SANITIZERS)) throw new Error('say which: address or thread');
const { flags, libraries, env } = SANITIZERS[name as keyof typeof SANITIZERS];
const work = mkdtempSync(join(tmpdir(), 'sekisho-sanitize-'));
try {
  copySources();
  compile();
  process.exitCode = test();
} finally {
  rmSync(work, { recursive: true, force: true });
}

function copySources(): void {
  for (const name of ['src', 'test', 'package.json'])
    cpSync(join(root, name), join(work, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(work, 'node_modules'));
  mkdirSync(join(work, 'native'));
}

function compile(): void {
  const include = join(dirname(dirname(process.execPath)), 'include', 'node');
  const addon = join(work, 'native', 'tunnel.node');
  const options = [
    '-std=c11',
    '-D_GNU_SOURCE',
    '-DNAPI_VERSION=8',
    '-O1',
    '-g',
    '-fPIC',
    '-shared',
  ];
  const sources = ['addon.c', 'sockets.c', 'tunnel.c'].map((name) => join(root, 'native', name));
  run('gcc', [
    ...options,
    '-pthread',
    '-Wall',
    '-Wextra',
    ...flags,
    '-I',
    include,
    ...sources,
    '-o',
    addon,
  ]);
}

function test(): number {
  const preload = libraries.map((library) => run('gcc', [`-print-file-name=${library}`]).trim());
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--test',
      '--test-isolation=none',
      'src/stream/channel.test.ts',
      'src/tcp/native-tcp.test.ts',
      'src/upstream/tunnel.test.ts',
    ],
    {
      cwd: work,
      encoding: 'utf8',
      maxBuffer: MOST_BYTES,
      env: { ...process.env, ...env, SEKISHO_NATIVE: 'on', LD_PRELOAD: preload.join(':') },
    },
  );
  const findings = stderr.split(/^=+$/m).filter((finding) => OURS.test(finding));
  process.stdout.write(stdout);
  process.stderr.write(findings.join(''));
  process.stderr.write(`${name}: ${findings.length} findings in native\n`);
  return findings.length > 0 ? 1 : (status ?? 1);
}

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} failed:\n${stderr}`);
  return stdout;
}
