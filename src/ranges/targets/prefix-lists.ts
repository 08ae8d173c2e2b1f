import type { EC2Client, ManagedPrefixList, PrefixListEntry } from '@aws-sdk/client-ec2';
import type { PrefixListsConfig } from '../../config/ranges-config.ts';
import type { Cidr } from '../../core/ip.ts';
import { asking, causeCode } from '../aws/aws-failure.ts';
import { clientOptions } from '../aws/client-options.ts';
import { awsNetwork } from '../aws/network-text.ts';
import type { Container, Entry, HeldEntry } from '../plan/entry.ts';
import { type Placed, type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { RangesError } from '../ranges-error.ts';
import {
  batches,
  byContainer,
  type Looking,
  markOf,
  type Note,
  type Standing,
  type Target,
  type Work,
} from './target.ts';

type Ec2 = typeof import('@aws-sdk/client-ec2');

/** One list as it was read. */
interface SeenList {
  readonly id: string;
  readonly version: number;
  readonly maxEntries: number;
  readonly entries: number;
  /** Resources that refer to it, each of which counts it as `maxEntries` rules. */
  readonly references: readonly string[];
}

interface SeenLists extends Standing {
  readonly lists: ReadonlyMap<string, SeenList>;
}

/** AWS takes no more in one request. */
const CHANGES = 100;
const MAX_LOOKS = 40;
const IN_PROGRESS = /-in-progress$/;
const OVERTAKEN: readonly string[] = ['PrefixListVersionMismatch', 'IncorrectState'];

/** Customer-managed prefix lists of a VPC. */
export class PrefixLists implements Target<SeenLists> {
  readonly config: PrefixListsConfig;
  readonly atomic = false;
  readonly #mark: string;
  #ec2: { sdk: Ec2; client: EC2Client } | undefined;

  constructor(config: PrefixListsConfig) {
    this.config = config;
    this.#mark = markOf(config);
  }

  async read(looking: Looking): Promise<SeenLists> {
    const lists = new Map<string, SeenList>();
    const containers: Container[] = [];
    for (const id of this.config.lists) {
      const { list, container } = await asking(`${this.config.name}: ${id}`, looking.signal, () =>
        this.#readList(id, looking),
      );
      lists.set(id, list);
      containers.push(container);
    }
    return { containers, lists };
  }

  plan(networks: readonly Cidr[], { containers }: SeenLists): Plan {
    const wanted = networks.map((network): Entry => ({ network, permission: undefined }));
    return planEntries(wanted, containers, { atomic: this.atomic });
  }

  async apply({ add, remove }: Step, { lists }: SeenLists, work: Work): Promise<void> {
    try {
      for (const [id, placed] of byContainer(add)) {
        await this.#add(lists.get(id) as SeenList, placed, work);
      }
      for (const [id, placed] of byContainer(remove)) {
        await this.#remove(lists.get(id) as SeenList, placed, work);
      }
    } catch (error) {
      if (!OVERTAKEN.includes(causeCode(error))) throw error;
    }
  }

  unsettled({ lists }: SeenLists): readonly string[] {
    return [...lists.values()]
      .filter((list) => this.#isTooLarge(list))
      .map(({ id, maxEntries }) => `${id}: MaxEntries ${maxEntries} → ${this.config.maxEntries}`);
  }

  async settle({ lists }: SeenLists, work: Work): Promise<void> {
    for (const list of lists.values()) {
      if (!this.#isTooLarge(list)) continue;
      await this.#modify(list.id, { MaxEntries: this.config.maxEntries as number }, work);
    }
  }

  notes({ lists }: SeenLists, { room }: Plan): readonly Note[] {
    return [...lists.values()].flatMap(({ id, maxEntries, references }): Note[] => {
      const used = room.find(({ container }) => container === id)?.after ?? 0;
      const grown = Math.max(used, maxEntries);
      const size = grown === maxEntries ? `${maxEntries}` : `${maxEntries} → ${grown}`;
      const where = references.length === 0 ? 'nothing refers to it' : references.join(', ');
      const level = grown > maxEntries && references.length > 0 ? 'warning' : 'note';
      return [{ level, text: `${id}: MaxEntries ${size}, as many rules in each of: ${where}` }];
    });
  }

  close(): void {
    this.#ec2?.client.destroy();
  }

  /** As it is and larger than it shall be, with nothing in it that would not fit. */
  #isTooLarge({ maxEntries, entries }: SeenList): boolean {
    const limit = this.config.maxEntries;
    return limit !== undefined && maxEntries > limit && entries <= limit;
  }

  async #connect(): Promise<{ sdk: Ec2; client: EC2Client }> {
    if (this.#ec2 === undefined) {
      const sdk = await import('@aws-sdk/client-ec2');
      this.#ec2 = { sdk, client: new sdk.EC2Client(clientOptions(this.config.aws)) };
    }
    return this.#ec2;
  }

  async #readList(id: string, looking: Looking) {
    const { signal } = looking;
    const { sdk, client } = await this.#connect();
    const list = await this.#settled(id, await this.#describe(id, signal), looking);
    const { Version: version = 0, MaxEntries: maxEntries = 0, AddressFamily } = list;
    const entries: PrefixListEntry[] = [];
    const pages = sdk.paginateGetManagedPrefixListEntries(
      { client, pageSize: 100 },
      { PrefixListId: id, TargetVersion: version },
      { abortSignal: signal },
    );
    for await (const { Entries = [] } of pages) entries.push(...Entries);
    const references: string[] = [];
    const associations = sdk.paginateGetManagedPrefixListAssociations(
      { client },
      { PrefixListId: id },
      { abortSignal: signal },
    );
    for await (const { PrefixListAssociations = [] } of associations) {
      references.push(...PrefixListAssociations.flatMap(({ ResourceId }) => ResourceId ?? []));
    }
    const family = AddressFamily === 'IPv6' ? 6 : 4;
    const limit = this.config.maxEntries ?? maxEntries;
    const quota = { 4: family === 4 ? limit : 0, 6: family === 6 ? limit : 0 };
    const held = entries.flatMap((entry) => this.#toHeld(entry));
    return {
      list: { id, version, maxEntries, entries: entries.length, references },
      container: { id, held, reserved: { 4: 0, 6: 0 }, quota },
    };
  }

  #toHeld({ Cidr: text, Description }: PrefixListEntry): HeldEntry[] {
    const network = awsNetwork(text);
    if (network === undefined || text === undefined) return [];
    return [{ network, permission: undefined, id: text, ours: Description === this.#mark }];
  }

  async #describe(id: string, signal: AbortSignal): Promise<ManagedPrefixList> {
    const { sdk, client } = await this.#connect();
    const asked = new sdk.DescribeManagedPrefixListsCommand({ PrefixListIds: [id] });
    const { PrefixLists = [] } = await client.send(asked, { abortSignal: signal });
    const [list] = PrefixLists;
    if (list === undefined)
      throw new RangesError('ranges-conflict', `there is no prefix list ${id}`);
    return list;
  }

  /** Waits until AWS is done with a change, whoever made it. */
  async #settled(
    id: string,
    first: ManagedPrefixList,
    looking: Looking,
  ): Promise<ManagedPrefixList> {
    let list = first;
    for (let tries = 0; IN_PROGRESS.test(list.State ?? ''); tries++) {
      if (tries === MAX_LOOKS) {
        throw new RangesError('ranges-conflict', `${id} remains ${list.State}`);
      }
      await looking.pause(tries);
      list = await this.#describe(id, looking.signal);
    }
    return list;
  }

  /** The size is a change of its own, which comes before the entries that need it. */
  async #add(list: SeenList, placed: readonly Placed[], work: Work): Promise<void> {
    const needed = list.entries + placed.length;
    let { version } = list;
    if (needed > list.maxEntries) {
      version = await this.#modify(list.id, { MaxEntries: needed }, work);
    }
    for (const batch of batches(placed, CHANGES)) {
      const AddEntries = batch.map(({ entry }) => ({
        Cidr: entry.network.text,
        Description: this.#mark,
      }));
      version = await this.#modify(list.id, { CurrentVersion: version, AddEntries }, work);
      work.done(batch.length);
    }
  }

  async #remove(list: SeenList, placed: readonly Placed<HeldEntry>[], work: Work): Promise<void> {
    let version = list.version;
    for (const batch of batches(placed, CHANGES)) {
      const RemoveEntries = batch.map(({ entry }) => ({ Cidr: entry.id }));
      version = await this.#modify(list.id, { CurrentVersion: version, RemoveEntries }, work);
      work.done(batch.length);
    }
  }

  /** Changes a list and waits until AWS is done with it. @returns its version then */
  async #modify(
    id: string,
    change: {
      MaxEntries?: number;
      CurrentVersion?: number;
      AddEntries?: { Cidr: string; Description: string }[];
      RemoveEntries?: { Cidr: string }[];
    },
    work: Work,
  ): Promise<number> {
    work.signal.throwIfAborted();
    return asking(`${this.config.name}: ${id}`, work.signal, async () => {
      const { sdk, client } = await this.#connect();
      const command = new sdk.ModifyManagedPrefixListCommand({ PrefixListId: id, ...change });
      const { PrefixList } = await client.send(command, { abortSignal: work.signal });
      const list = await this.#settled(id, PrefixList ?? {}, work);
      if (!/-complete$/.test(list.State ?? '')) {
        const message = `${id} could not be changed: ${list.StateMessage ?? list.State}`;
        throw new RangesError('ranges-no-room', message);
      }
      return list.Version ?? 0;
    });
  }
}
