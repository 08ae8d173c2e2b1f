import { AwsError } from './aws-error.ts';
import { items, page } from './ec2-protocol.ts';
import { canonical } from './security-groups.ts';
import type { Input, Operation } from './service.ts';

interface FakeEntry {
  readonly cidr: string;
  readonly description: string | undefined;
}

export interface FakePrefixList {
  readonly id: string;
  readonly family: 'IPv4' | 'IPv6';
  state: string;
  stateMessage?: string;
  maxEntries: number;
  version: number;
  entries: FakeEntry[];
  /** What a change that is in progress comes to, after so many looks. */
  coming: { looks: number; finish: () => void } | undefined;
  readonly references: string[];
}

const CHANGES = 100;
const MOST = 1000;

/** Managed prefix lists: versions, states, sizes. */
export class FakePrefixLists {
  readonly lists = new Map<string, FakePrefixList>();
  pageSize = 7;
  /** Looks that find a change still in progress. */
  slowness = 1;
  /** Resources that refer to a list have room for so many of its entries. */
  roomOfReferences = MOST;
  onChange: () => void = () => undefined;

  add(id: string, family: 'IPv4' | 'IPv6', maxEntries: number): FakePrefixList {
    const state = 'create-complete';
    const list = {
      id,
      family,
      state,
      maxEntries,
      version: 1,
      entries: [],
      coming: undefined,
      references: [],
    };
    this.lists.set(id, list);
    return list;
  }

  readonly operations: Readonly<Record<string, Operation>> = {
    DescribeManagedPrefixLists: (input) => this.#describe(input),
    GetManagedPrefixListEntries: (input) => this.#entries(input),
    GetManagedPrefixListAssociations: (input) => this.#associations(input),
    ModifyManagedPrefixList: (input) => this.#modify(input),
  };

  #known(id: unknown): FakePrefixList {
    const list = this.lists.get(String(id));
    if (list !== undefined) return list;
    throw new AwsError(
      'InvalidPrefixListID.NotFound',
      `The prefix list ID '${id}' does not exist.`,
    );
  }

  #describe(input: Input) {
    const ids = input.PrefixListId as string[];
    const lists = ids.map((id) => this.#known(id));
    for (const list of lists) {
      if (list.coming === undefined) continue;
      if (list.coming.looks-- <= 0) {
        list.coming.finish();
        list.coming = undefined;
        this.onChange();
      }
    }
    return { prefixListSet: items(lists.map(described)) };
  }

  #entries(input: Input) {
    const list = this.#known(input.PrefixListId);
    if (input.TargetVersion !== undefined && Number(input.TargetVersion) !== list.version) {
      throw new AwsError(
        'InvalidParameterValue',
        `Version ${input.TargetVersion} is not kept here`,
      );
    }
    const { slice, ...more } = page(list.entries, input, this.pageSize);
    return { entrySet: items(slice), ...more };
  }

  #associations(input: Input) {
    const list = this.#known(input.PrefixListId);
    const told = list.references.map((resourceId) => ({
      resourceId,
      resourceOwner: '123456789012',
    }));
    const { slice, ...more } = page(told, input, this.pageSize);
    return { prefixListAssociationSet: items(slice), ...more };
  }

  #modify(input: Input) {
    const list = this.#known(input.PrefixListId);
    const add = (input.AddEntry ?? []) as { Cidr: string; Description?: string }[];
    const remove = (input.RemoveEntry ?? []) as { Cidr: string }[];
    if (list.coming !== undefined) {
      throw new AwsError('IncorrectState', `The prefix list is in the state ${list.state}`);
    }
    if (input.MaxEntries !== undefined) {
      if (add.length + remove.length > 0) {
        throw new AwsError(
          'InvalidParameterCombination',
          'You cannot modify the entries and the maximum number of entries at the same time.',
        );
      }
      this.#resize(list, Number(input.MaxEntries));
    } else this.#changeEntries(list, add, remove, input.CurrentVersion);
    return { prefixList: described(list) };
  }

  #resize(list: FakePrefixList, size: number): void {
    if (size < list.entries.length || size > MOST) {
      throw new AwsError(
        'InvalidParameterValue',
        `${size} cannot be the maximum number of entries`,
      );
    }
    const fits = list.references.length === 0 || size <= this.roomOfReferences;
    list.state = 'modify-in-progress';
    list.coming = {
      looks: this.slowness,
      finish: () => {
        list.state = fits ? 'modify-complete' : 'modify-failed';
        if (fits) list.maxEntries = size;
        else list.stateMessage = 'A resource that references the prefix list has reached its quota';
      },
    };
  }

  #changeEntries(
    list: FakePrefixList,
    add: readonly { Cidr: string; Description?: string }[],
    remove: readonly { Cidr: string }[],
    version: unknown,
  ): void {
    if (Number(version) !== list.version) {
      const message = `The prefix list has the incorrect version number: ${version}`;
      throw new AwsError('PrefixListVersionMismatch', message);
    }
    if (add.length > CHANGES || remove.length > CHANGES) {
      throw new AwsError(
        'InvalidParameterValue',
        `No more than ${CHANGES} entries can be changed in one request`,
      );
    }
    const added = add.map(({ Cidr, Description }) => ({
      cidr: canonical(Cidr),
      description: Description,
    }));
    const removed = new Set(remove.map(({ Cidr }) => canonical(Cidr)));
    const next = [...list.entries.filter(({ cidr }) => !removed.has(cidr)), ...added];
    const unknown = [...removed].find((cidr) => !list.entries.some((entry) => entry.cidr === cidr));
    if (unknown !== undefined)
      throw new AwsError('InvalidParameterValue', `There is no entry ${unknown}`);
    if (new Set(next.map(({ cidr }) => cidr)).size < next.length) {
      throw new AwsError('InvalidParameterValue', 'An entry stands in the prefix list already');
    }
    if (next.some(({ cidr }) => cidr.includes(':') !== (list.family === 'IPv6'))) {
      throw new AwsError(
        'InvalidParameterValue',
        'An entry is not of the address family of the list',
      );
    }
    if (next.length > list.maxEntries) {
      throw new AwsError(
        'PrefixListMaxEntriesExceeded',
        `The list takes ${list.maxEntries} entries`,
      );
    }
    list.state = 'modify-in-progress';
    list.coming = {
      looks: this.slowness,
      finish: () => {
        list.state = 'modify-complete';
        list.version++;
        list.entries = next;
      },
    };
  }
}

function described(list: FakePrefixList) {
  const { id, family, state, stateMessage, maxEntries, version } = list;
  return { prefixListId: id, addressFamily: family, state, stateMessage, maxEntries, version };
}
