import { z } from 'zod';
import type { NftablesConfig } from '../../config/ranges-config.ts';
import { Cidr, Ip } from '../../core/ip.ts';
import type { Container, Entry, Family, HeldEntry } from '../plan/entry.ts';
import { foreignCover } from '../plan/foreign.ts';
import { type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { RangesError } from '../ranges-error.ts';
import { runProgram } from '../run-program.ts';
import { type Looking, markOf, type Standing, type Target, type Work } from './target.ts';

const prefix = z.object({ prefix: z.object({ addr: z.string(), len: z.int() }) });
const range = z.object({ range: z.tuple([z.string(), z.string()]) });
const value = z.union([z.string(), prefix, range]);
const element = z.union([
  value.transform((val) => ({ val, comment: undefined })),
  z
    .object({ elem: z.object({ val: value, comment: z.string().optional() }) })
    .transform(({ elem }) => elem),
]);
const listing = z.object({
  nftables: z.array(
    z.object({
      set: z
        .object({
          type: z.union([z.string(), z.array(z.string())]),
          flags: z.union([z.string(), z.array(z.string())]).optional(),
          size: z.int().optional(),
          elem: z.array(element).optional(),
        })
        .optional(),
    }),
  ),
});

/** Named sets of nftables on this host, changed in one transaction. */
export class Nftables implements Target {
  readonly config: NftablesConfig;
  readonly atomic = true;
  readonly #mark: string;

  constructor(config: NftablesConfig) {
    this.config = config;
    this.#mark = markOf(config);
  }

  async read({ signal }: Looking): Promise<Standing> {
    const { ipv4, ipv6 } = this.config;
    const containers: Container[] = [];
    if (ipv4 !== undefined) containers.push(await this.#readSet(ipv4, 4, signal));
    if (ipv6 !== undefined) containers.push(await this.#readSet(ipv6, 6, signal));
    return { containers };
  }

  /** Elements of a set never overlap: what one of somebody else lets pass already is not added. */
  plan(networks: readonly Cidr[], { containers }: Standing): Plan {
    const entries = networks.map((network): Entry => ({ network, permission: undefined }));
    const covered = foreignCover(entries, containers);
    const passing = new Set(covered.map(({ entry }) => entry));
    const wanted = entries.filter((entry) => !passing.has(entry));
    for (const { id, held } of containers) {
      const inside = held.find(
        (one) => !one.ours && wanted.some(({ network }) => one.network.inside(network)),
      );
      if (inside === undefined) continue;
      const message = `${this.config.name}: ${inside.network.text} of somebody else in ${id} lies inside of what is to be added; delete that element`;
      throw new RangesError('ranges-conflict', message);
    }
    return { ...planEntries(wanted, containers, { atomic: this.atomic }), covered };
  }

  async apply({ add, remove }: Step, { containers }: Standing, work: Work): Promise<void> {
    work.signal.throwIfAborted();
    const lines = containers.flatMap(({ id }) => {
      const going = remove.filter(({ container }) => container === id);
      const coming = add.filter(({ container }) => container === id);
      const gone = going.map(({ entry }) => entry.network.text);
      const come = coming.map(({ entry }) => `${entry.network.text} comment "${this.#mark}"`);
      return [
        ...(gone.length > 0 ? [`delete element ${id} { ${gone.join(', ')} }`] : []),
        ...(come.length > 0 ? [`add element ${id} { ${come.join(', ')} }`] : []),
      ];
    });
    await runProgram(['nft', '-f', '-'], work.signal, `${lines.join('\n')}\n`);
    work.done(add.length + remove.length);
  }

  async #readSet(set: string, family: Family, signal: AbortSignal): Promise<Container> {
    const id = `${this.config.family} ${this.config.table} ${set}`;
    const listed = ['list', 'set', ...id.split(' ')];
    const out = await runProgram(['nft', '-j', ...listed], signal);
    // JSON says nothing of this.
    const merges = (await runProgram(['nft', '-t', ...listed], signal)).includes('auto-merge');
    const found = listing.parse(JSON.parse(out)).nftables.find((one) => one.set !== undefined)?.set;
    if (found?.type !== `ipv${family}_addr`) {
      throw new RangesError('ranges-conflict', `the set ${id} is not of type ipv${family}_addr`);
    }
    if (![found.flags].flat().includes('interval') || merges) {
      const message = `the set ${id} must have flags interval and no auto-merge, so that its elements can be told apart`;
      throw new RangesError('ranges-conflict', message);
    }
    const quota = found.size ?? Number.POSITIVE_INFINITY;
    return {
      id,
      held: (found.elem ?? []).flatMap((one) => this.#toHeld(one)),
      reserved: { 4: 0, 6: 0 },
      quota: { 4: family === 4 ? quota : 0, 6: family === 6 ? quota : 0 },
    };
  }

  #toHeld({ val, comment }: z.output<typeof element>): HeldEntry[] {
    return networksOf(val).map((network) => ({
      network,
      permission: undefined,
      id: network.text,
      ours: comment === this.#mark,
    }));
  }
}

/** A range of somebody else is told by its ends alone. */
function networksOf(val: z.output<typeof value>): Cidr[] {
  const of = (address: string, bits?: number) => {
    const ip = Ip.parse(address);
    return ip === undefined ? [] : [bits === undefined ? Cidr.of(ip) : Cidr.around(ip, bits)];
  };
  if (typeof val === 'string') return of(val);
  if ('prefix' in val) return of(val.prefix.addr, val.prefix.len);
  return val.range.flatMap((end) => of(end));
}
