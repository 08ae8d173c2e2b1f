import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { FORMATS } from '../../../src/ranges/file-formats/formats.ts';
import { DiskInterruptions } from '../disk-interruptions.ts';
import { MARK, targetOf } from '../ranges.ts';
import type { Stage } from './stage.ts';

/** A file, and a program that loads it: what passes is what was loaded last. */
export async function fileStage(t: TestContext): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-stage-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const [path, loaded, program] = ['list', 'loaded', 'program'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(
    program,
    `#!/bin/sh
[ "$FAIL" = "" ] || [ "$FAIL" = lost ] || exit 1
[ "$1" = check ] || cp '${path}' '${loaded}'
[ "$FAIL" = "" ]
`,
  );
  chmodSync(program, 0o755);
  const networks = (file: string) => FORMATS.plain.read(readFileSync(file, 'utf8'), MARK) ?? [];
  const failing = new DiskInterruptions(t);
  return {
    config: targetOf(
      `file: { path: "${path}", format: plain, check: ["${program}", check], reload: ["${program}", load] }`,
    ),
    failing,
    reads: /^(?:open|readFile|readdir|stat)$/,
    set({ before }) {
      const head = FORMATS.plain.write([], MARK, 'rds');
      for (const file of [path, loaded]) writeFileSync(file, `${head}${before.join('\n')}\n`);
      rmSync(join(dir, '.list.unloaded'), { force: true });
    },
    passing: () => networks(loaded),
    ours: () => networks(path),
    theirs: () => [],
    watch: (look) => {
      failing.onChange = look;
    },
  };
}
