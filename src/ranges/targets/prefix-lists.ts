import type { PrefixListEntry } from '@aws-sdk/client-ec2';
import type { PrefixListsConfig } from '../../config/ranges-config.ts';
import type { Cidr } from '../../core/ip.ts';
import { asking, causeCode } from '../aws/aws-failure.ts';
import { type ListChange, ManagedPrefixLists } from '../aws/managed-prefix-lists.ts';
import { awsNetwork } from '../aws/network-text.ts';
import type { Container, Entry, HeldEntry, Placed } from '../plan/entry.ts';
import { type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
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

/** One list as it was read. */
interface SeenList {
  readonly id: string;
  readonly version: number;
  readonly maxEntries: number;
  readonly entries: number;
}

interface SeenLists extends Standing {
  readonly lists: ReadonlyMap<string, SeenList>;
}

/** AWS takes no more in one request. */
const CHANGES = 100;
const OVERTAKEN: readonly string[] = ['PrefixListVersionMismatch', 'IncorrectState'];

/** Customer-managed prefix lists of a VPC. */
export class PrefixLists implements Target<SeenLists> {
  readonly config: PrefixListsConfig;
  readonly atomic = false;
  readonly #mark: string;
  readonly #client: ManagedPrefixLists;

  constructor(config: PrefixListsConfig) {
    this.config = config;
    this.#mark = markOf(config);
    this.#client = new ManagedPrefixLists(config.aws);
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

  /** Resources that refer to a list count it as MaxEntries rules each. */
  async notes({ lists }: SeenLists, { room }: Plan, { signal }: Looking): Promise<readonly Note[]> {
    const notes: Note[] = [];
    for (const { id, maxEntries } of lists.values()) {
      const references = await asking(`${this.config.name}: ${id}`, signal, () =>
        this.#client.references(id, signal),
      );
      const used = room.find(({ container }) => container === id)?.after ?? 0;
      const grown = Math.max(used, maxEntries);
      const size = grown === maxEntries ? `${maxEntries}` : `${maxEntries} → ${grown}`;
      const where = references.length === 0 ? 'nothing refers to it' : references.join(', ');
      const level = grown > maxEntries && references.length > 0 ? 'warning' : 'note';
      notes.push({ level, text: `${id}: MaxEntries ${size}, as many rules in each of: ${where}` });
    }
    return notes;
  }

  close(): void {
    this.#client.close();
  }

  /** As it is and larger than it shall be, with nothing in it that would not fit. */
  #isTooLarge({ maxEntries, entries }: SeenList): boolean {
    const limit = this.config.maxEntries;
    return limit !== undefined && maxEntries > limit && entries <= limit;
  }

  async #readList(id: string, looking: Looking) {
    const { signal } = looking;
    const list = await this.#client.read(id, looking);
    const { Version: version = 0, MaxEntries: maxEntries = 0, AddressFamily } = list;
    const entries = await this.#client.entries(id, version, signal);
    const family = AddressFamily === 'IPv6' ? 6 : 4;
    const limit = this.config.maxEntries ?? maxEntries;
    const quota = { 4: family === 4 ? limit : 0, 6: family === 6 ? limit : 0 };
    const held = entries.flatMap((entry) => this.#toHeld(entry));
    return {
      list: { id, version, maxEntries, entries: entries.length },
      container: { id, held, reserved: { 4: 0, 6: 0 }, quota },
    };
  }

  #toHeld({ Cidr: text, Description }: PrefixListEntry): HeldEntry[] {
    const network = awsNetwork(text);
    if (network === undefined || text === undefined) return [];
    return [{ network, permission: undefined, id: text, ours: Description === this.#mark }];
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

  #modify(id: string, change: ListChange, work: Work): Promise<number> {
    work.signal.throwIfAborted();
    return asking(`${this.config.name}: ${id}`, work.signal, () =>
      this.#client.modify(id, change, work),
    );
  }
}
