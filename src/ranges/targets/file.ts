import { readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { FileTargetConfig } from '../../config/ranges-config.ts';
import { compareNetworks } from '../../core/aggregate.ts';
import { Cidr } from '../../core/ip.ts';
import { FORMATS } from '../file-formats/formats.ts';
import type { Entry, HeldEntry } from '../plan/entry.ts';
import { type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { RangesError } from '../ranges-error.ts';
import { absent, removeLeftovers, replaceFile } from '../replace-file.ts';
import { runProgram } from '../run-program.ts';
import { reasonOf } from '../surroundings.ts';
import { markOf, type Standing, type Target, type Work } from './target.ts';

interface SeenFile extends Standing {
  /** The file is in place and nobody has loaded it yet; before it there was this, or no file. */
  readonly unloaded: { readonly before: string | null } | undefined;
}

const unloadedShape = z.object({ before: z.string().nullable() });
const UNLIMITED = { 4: Number.POSITIVE_INFINITY, 6: Number.POSITIVE_INFINITY };

/** A file that some program reads. */
export class FileTarget implements Target<SeenFile> {
  readonly config: FileTargetConfig;
  readonly atomic = true;
  readonly #mark: string;
  /** Remembers, over a death of this process, that the file is not loaded yet. */
  readonly #unloaded: string;

  constructor(config: FileTargetConfig) {
    this.config = config;
    this.#mark = markOf(config);
    this.#unloaded = join(dirname(config.path), `.${basename(config.path)}.unloaded`);
  }

  async read(): Promise<SeenFile> {
    const { path, format, name } = this.config;
    return this.#onDisk(async () => {
      const text = await readFile(path, 'utf8').catch(absent);
      // An empty one is nobody's: whoever reads it may need it to be there from the beginning.
      const written = !text ? [] : FORMATS[format].read(text, this.#mark);
      if (written === undefined) {
        const message = `${name}: ${path} was not written by this target as ${format}; move it away`;
        throw new RangesError('ranges-conflict', message);
      }
      const held = written.map((one): HeldEntry => {
        const network = Cidr.parse(one);
        if (network !== undefined) return { network, permission: undefined, id: one, ours: true };
        const message = `${name}: ${path} has a line that is none of ours; move it away`;
        throw new RangesError('ranges-conflict', message);
      });
      const container = { id: path, held, reserved: { 4: 0, 6: 0 }, quota: UNLIMITED };
      const note = await readFile(this.#unloaded, 'utf8').catch(absent);
      const unloaded = note === undefined ? undefined : unloadedShape.parse(JSON.parse(note));
      return { containers: [container], unloaded };
    });
  }

  plan(networks: readonly Cidr[], { containers }: SeenFile): Plan {
    const wanted = networks.map((network): Entry => ({ network, permission: undefined }));
    return planEntries(wanted, containers, { atomic: this.atomic });
  }

  async apply({ add, remove }: Step, seen: SeenFile, work: Work): Promise<void> {
    const { path, format, name, check, reload } = this.config;
    work.signal.throwIfAborted();
    const held = seen.containers[0]?.held ?? [];
    const going = new Set(remove.map(({ entry }) => entry.network.text));
    const staying = held.map(({ network }) => network).filter(({ text }) => !going.has(text));
    const networks = [...staying, ...add.map(({ entry }) => entry.network)].sort(compareNetworks);
    await this.#onDisk(async () => {
      await removeLeftovers(path);
      if (check !== undefined || reload !== undefined) {
        const before = seen.unloaded ?? {
          before: (await readFile(path, 'utf8').catch(absent)) ?? null,
        };
        await replaceFile(this.#unloaded, JSON.stringify(before), 0o600);
      }
      await replaceFile(path, FORMATS[format].write(networks, this.#mark, name));
    });
    work.done(add.length + remove.length);
  }

  unsettled({ unloaded }: SeenFile): readonly string[] {
    if (unloaded === undefined) return [];
    const { check = [], reload = [] } = this.config;
    return [check, reload].filter(({ length }) => length > 0).map((command) => command.join(' '));
  }

  /** Has the program check its configuration with the file in place; where it refuses, the file before is put back. */
  async settle({ unloaded }: SeenFile, { signal }: Work): Promise<void> {
    if (unloaded === undefined) return;
    const { check, reload, name } = this.config;
    if (check !== undefined) {
      try {
        await runProgram(check, signal);
      } catch (error) {
        signal.throwIfAborted();
        await this.#onDisk(() => this.#putBack(unloaded.before));
        const message = `${name}: the file is refused, and the one before is in place again: ${reasonOf(error)}`;
        throw new RangesError('ranges-conflict', message, { cause: error });
      }
    }
    if (reload !== undefined) await runProgram(reload, signal);
    await this.#onDisk(() => rm(this.#unloaded, { force: true }));
  }

  async #putBack(before: string | null): Promise<void> {
    if (before === null) await rm(this.config.path, { force: true });
    else await replaceFile(this.config.path, before);
    await rm(this.#unloaded, { force: true });
  }

  async #onDisk<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RangesError || (error as NodeJS.ErrnoException).code === undefined)
        throw error;
      const message = `${this.config.name}: ${this.config.path}: ${reasonOf(error)}`;
      throw new RangesError('ranges-unavailable', message, { cause: error });
    }
  }
}
