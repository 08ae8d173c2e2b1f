import childProcess from 'node:child_process';
import disk from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';
import type { Failing, Interruption } from './stages/stage.ts';

const CALLS = ['open', 'readFile', 'readdir', 'rename', 'rm', 'stat'] as const;

type Call = (...args: never) => Promise<unknown>;

/** Fails one call of this process to the disk, or one program that it runs. */
export class DiskInterruptions implements Failing {
  readonly operations: string[] = [];
  onChange: () => void = () => undefined;
  #at: { number: number; how: Interruption } | undefined;

  constructor(t: TestContext) {
    const mocks = [
      ...CALLS.map((name) => this.#wrap(t, name)),
      // A program is told to fail: before it has done anything, or after.
      t.mock.method(childProcess, 'spawn', this.#spawning()),
    ];
    syncBuiltinESMExports();
    t.after(() => {
      for (const { mock } of mocks) mock.restore();
      syncBuiltinESMExports();
    });
  }

  begin(number: number, how: Interruption): void {
    this.operations.length = 0;
    this.#at = { number, how };
  }

  end(): void {
    this.#at = undefined;
  }

  #struck(name: string): Interruption | undefined {
    return this.operations.push(name) === this.#at?.number ? this.#at.how : undefined;
  }

  #wrap(t: TestContext, name: (typeof CALLS)[number]) {
    const own = disk[name] as Call;
    const wrapped: Call = async (...args) => {
      const how = this.#struck(name);
      if (how !== undefined && how !== 'lost') throw broken();
      const output = await own(...args);
      this.onChange();
      if (how === 'lost') throw broken();
      return output;
    };
    return t.mock.method(disk, name, wrapped as never);
  }

  #spawning() {
    const own = childProcess.spawn;
    return ((program: string, args: readonly string[], options: object) => {
      const FAIL = this.#struck('spawn') ?? '';
      return own(program, args, { ...options, env: { ...process.env, FAIL } });
    }) as never;
  }
}

function broken(): Error {
  return Object.assign(new Error('EIO: interrupted'), { code: 'EIO' });
}
