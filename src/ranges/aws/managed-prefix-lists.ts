import type { ManagedPrefixList, PrefixListEntry } from '@aws-sdk/client-ec2';
import type { AwsPlace } from '../../config/ranges-config.ts';
import { RangesError } from '../ranges-error.ts';
import type { Looking } from '../targets/target.ts';
import { ec2 } from './lazy-client.ts';

/** AWS takes the size and the entries in requests of their own. */
export type ListChange =
  | { readonly MaxEntries: number }
  | {
      readonly CurrentVersion: number;
      readonly AddEntries?: { Cidr: string; Description: string }[];
      readonly RemoveEntries?: { Cidr: string }[];
    };

const MAX_LOOKS = 40;
const IN_PROGRESS = /-in-progress$/;

/** Prefix lists at AWS, each change of which takes a while. */
export class ManagedPrefixLists {
  readonly #ec2: ReturnType<typeof ec2>;

  constructor(place: AwsPlace) {
    this.#ec2 = ec2(place);
  }

  /** A list that nobody is changing any more. @throws RangesError `ranges-conflict` where there is none */
  async read(id: string, looking: Looking): Promise<ManagedPrefixList> {
    return this.#settled(id, await this.#describe(id, looking.signal), looking);
  }

  async entries(id: string, version: number, signal: AbortSignal): Promise<PrefixListEntry[]> {
    const { sdk, client } = await this.#ec2.get();
    const entries: PrefixListEntry[] = [];
    const pages = sdk.paginateGetManagedPrefixListEntries(
      { client, pageSize: 100 },
      { PrefixListId: id, TargetVersion: version },
      { abortSignal: signal },
    );
    for await (const { Entries = [] } of pages) entries.push(...Entries);
    return entries;
  }

  /** Resources that refer to a list. */
  async references(id: string, signal: AbortSignal): Promise<string[]> {
    const { sdk, client } = await this.#ec2.get();
    const references: string[] = [];
    const pages = sdk.paginateGetManagedPrefixListAssociations(
      { client },
      { PrefixListId: id },
      { abortSignal: signal },
    );
    for await (const { PrefixListAssociations = [] } of pages) {
      references.push(...PrefixListAssociations.flatMap(({ ResourceId }) => ResourceId ?? []));
    }
    return references;
  }

  /** Changes a list and waits until AWS is done with it. @returns its version then */
  async modify(id: string, change: ListChange, looking: Looking): Promise<number> {
    const { sdk, client } = await this.#ec2.get();
    const command = new sdk.ModifyManagedPrefixListCommand({ PrefixListId: id, ...change });
    const { PrefixList } = await client.send(command, { abortSignal: looking.signal });
    const list = await this.#settled(id, PrefixList ?? {}, looking);
    if (/-complete$/.test(list.State ?? '')) return list.Version ?? 0;
    const message = `${id} could not be changed: ${list.StateMessage ?? list.State}`;
    throw new RangesError('ranges-no-room', message);
  }

  close(): void {
    this.#ec2.close();
  }

  async #describe(id: string, signal: AbortSignal): Promise<ManagedPrefixList> {
    const { sdk, client } = await this.#ec2.get();
    const asked = new sdk.DescribeManagedPrefixListsCommand({ PrefixListIds: [id] });
    const { PrefixLists = [] } = await client.send(asked, { abortSignal: signal });
    const [list] = PrefixLists;
    if (list !== undefined) return list;
    throw new RangesError('ranges-conflict', `there is no prefix list ${id}`);
  }

  /** Waits until AWS is done with a change, whoever made it. */
  async #settled(
    id: string,
    first: ManagedPrefixList,
    { signal, pause }: Looking,
  ): Promise<ManagedPrefixList> {
    let list = first;
    for (let tries = 0; IN_PROGRESS.test(list.State ?? ''); tries++) {
      if (tries === MAX_LOOKS) {
        throw new RangesError('ranges-conflict', `${id} remains ${list.State}`);
      }
      await pause(tries);
      list = await this.#describe(id, signal);
    }
    return list;
  }
}
