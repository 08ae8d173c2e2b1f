import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { run } from './clients.ts';
import { STRICT } from './programs.ts';

const KINDS = {
  /** A megabyte of memory, which is soon full. */
  small: (dir: string) => attempt('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir),
  /** A real file system in a file, which can be stopped and broken. */
  real: async (dir: string) => {
    const image = `${dir}.image`;
    return (
      (await attempt('truncate', '-s', '16M', image)) &&
      (await attempt('mkfs.ext4', '-q', image)) &&
      (await attempt('mount', '-o', 'loop', image, dir))
    );
  },
} as const;

async function attempt(program: string, ...args: readonly string[]): Promise<boolean> {
  const { code } = await run(program, args).catch(() => ({ code: 1 }));
  return code === 0;
}

/**
 * A file system of its own for a test, gone with it. Where that cannot be had, the test is skipped; where nothing may be
 * skipped (`CI=true`), it fails.
 */
export async function mountDisk(
  t: TestContext,
  kind: keyof typeof KINDS,
): Promise<string | undefined> {
  const dir = await mkdtemp(join(tmpdir(), `sekisho-${kind}-`));
  const mounted = await KINDS[kind](dir);
  t.after(async () => {
    if (mounted) await run('umount', ['-l', dir]);
    await rm(dir, { recursive: true, force: true });
    await rm(`${dir}.image`, { force: true });
  });
  if (mounted) return dir;
  if (STRICT) throw new Error('mounting takes root; with CI=true no test may be skipped');
  t.skip('mounting takes root');
  return undefined;
}
