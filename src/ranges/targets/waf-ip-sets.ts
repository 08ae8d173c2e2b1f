import type { WAFV2Client } from '@aws-sdk/client-wafv2';
import type { WafIpSetsConfig } from '../../config/ranges-config.ts';
import type { Cidr } from '../../core/ip.ts';
import { asking, causeCode } from '../aws/aws-failure.ts';
import { clientOptions } from '../aws/client-options.ts';
import { LazyClient } from '../aws/lazy-client.ts';
import { awsNetwork } from '../aws/network-text.ts';
import type { Container, Entry, HeldEntry } from '../plan/entry.ts';
import { type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { RangesError } from '../ranges-error.ts';
import { type Looking, markOf, type Standing, type Target, type Work } from './target.ts';

type Waf = typeof import('@aws-sdk/client-wafv2');

interface SeenSet {
  readonly name: string;
  readonly id: string;
  readonly lockToken: string;
}

interface SeenSets extends Standing {
  readonly sets: readonly SeenSet[];
}

const ENTRIES = 10_000;

/** IP sets of AWS WAF: one for each family, each replaced as a whole. */
export class WafIpSets implements Target<SeenSets> {
  readonly config: WafIpSetsConfig;
  readonly atomic = true;
  readonly #mark: string;
  readonly #waf: LazyClient<Waf, WAFV2Client>;

  constructor(config: WafIpSetsConfig) {
    this.config = config;
    this.#mark = markOf(config);
    this.#waf = new LazyClient(async () => {
      const sdk = await import('@aws-sdk/client-wafv2');
      return { sdk, client: new sdk.WAFV2Client(clientOptions(config.aws)) };
    });
  }

  async read({ signal }: Looking): Promise<SeenSets> {
    const sets: SeenSet[] = [];
    const containers: Container[] = [];
    for (const { name, id } of this.config.ipSets) {
      const { lockToken, container } = await asking(`${this.config.name}: ${name}`, signal, () =>
        this.#readSet(name, id, signal),
      );
      sets.push({ name, id, lockToken });
      containers.push(container);
    }
    for (const family of [4, 6] as const) {
      if (containers.filter(({ quota }) => quota[family] > 0).length < 2) continue;
      // Two that are written one after the other could both lack a network for a while.
      const message = `${this.config.name}: two of its IP sets are for IPv${family}; make two targets of it`;
      throw new RangesError('ranges-conflict', message);
    }
    return { containers, sets };
  }

  plan(networks: readonly Cidr[], { containers }: SeenSets): Plan {
    const whole = networks.find(({ bits }) => bits === 0);
    if (whole !== undefined) {
      const message = `${this.config.name}: WAF takes no ${whole.text}; write its two halves`;
      throw new RangesError('ranges-conflict', message);
    }
    const wanted = networks.map((network): Entry => ({ network, permission: undefined }));
    return planEntries(wanted, containers, { atomic: this.atomic });
  }

  async apply({ add, remove }: Step, { containers, sets }: SeenSets, work: Work): Promise<void> {
    for (const { name, id, lockToken } of sets) {
      const coming = add.filter(({ container }) => container === name);
      const going = new Set(
        remove.filter(({ container }) => container === name).map(({ entry }) => entry.id),
      );
      if (coming.length + going.size === 0) continue;
      const held = containers.find((container) => container.id === name)?.held ?? [];
      const staying = held.filter((entry) => !going.has(entry.id)).map((entry) => entry.id);
      const addresses = [...staying, ...coming.map(({ entry }) => entry.network.text)];
      if (!(await this.#replace({ name, id, lockToken }, addresses, work))) return;
      work.done(coming.length + going.size);
    }
  }

  close(): void {
    this.#waf.close();
  }

  async #readSet(name: string, id: string, signal: AbortSignal) {
    const { sdk, client } = await this.#waf.get();
    const asked = new sdk.GetIPSetCommand({ Name: name, Id: id, Scope: this.config.scope });
    const { IPSet, LockToken: lockToken = '' } = await client.send(asked, { abortSignal: signal });
    const { Addresses = [], IPAddressVersion, Description } = IPSet ?? {};
    if (Addresses.length > 0 && Description !== this.#mark) {
      const message = `the IP set ${name} has addresses of somebody else: give it the description ${this.#mark} to hand it over`;
      throw new RangesError('ranges-conflict', message);
    }
    const held = Addresses.flatMap((text): HeldEntry[] => {
      const network = awsNetwork(text);
      return network === undefined
        ? []
        : [{ network, permission: undefined, id: text, ours: true }];
    });
    const isSix = IPAddressVersion === 'IPV6';
    const quota = { 4: isSix ? 0 : ENTRIES, 6: isSix ? ENTRIES : 0 };
    return { lockToken, container: { id: name, held, reserved: { 4: 0, 6: 0 }, quota } };
  }

  /** @returns false where somebody else changed it in the meantime */
  async #replace(
    { name, id, lockToken }: SeenSet,
    addresses: readonly string[],
    work: Work,
  ): Promise<boolean> {
    work.signal.throwIfAborted();
    const { sdk, client } = await this.#waf.get();
    const command = new sdk.UpdateIPSetCommand({
      Name: name,
      Id: id,
      Scope: this.config.scope,
      Description: this.#mark,
      Addresses: [...addresses],
      LockToken: lockToken,
    });
    try {
      await asking(`${this.config.name}: ${name}`, work.signal, () =>
        client.send(command, { abortSignal: work.signal }),
      );
      return true;
    } catch (error) {
      if (causeCode(error) === 'WAFOptimisticLockException') return false;
      throw error;
    }
  }
}
