import type {
  DescribeSecurityGroupRulesCommandOutput,
  EC2Client,
  IpPermission,
} from '@aws-sdk/client-ec2';
import type { SecurityGroupsConfig } from '../../config/ranges-config.ts';
import type { Cidr } from '../../core/ip.ts';
import { type Permission, permissionText } from '../../core/permission.ts';
import { asking, causeCode } from '../aws/aws-failure.ts';
import { clientOptions } from '../aws/client-options.ts';
import { awsNetwork } from '../aws/network-text.ts';
import { RULES_PER_GROUP, rulesPerGroup } from '../aws/quota.ts';
import { type Container, type Entry, entryKey, type HeldEntry } from '../plan/entry.ts';
import { type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { RangesError } from '../ranges-error.ts';
import { type Attachment, foreignNotes, groupNotes, readAttachment } from './group-attachment.ts';
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
type Rule = NonNullable<DescribeSecurityGroupRulesCommandOutput['SecurityGroupRules']>[number];

interface SeenGroups extends Standing {
  readonly attachment: Attachment;
}

/** Permissions in one request: far below what AWS takes, so that one that fails fails alone. */
const BATCH = 100;
/** Somebody was quicker, or a look was too early: the next look tells what is left. */
const OVERTAKEN: readonly string[] = [
  'InvalidPermission.Duplicate',
  'InvalidPermission.NotFound',
  'InvalidSecurityGroupRuleId.NotFound',
];

/** Inbound rules of EC2 security groups. */
export class SecurityGroups implements Target<SeenGroups> {
  readonly config: SecurityGroupsConfig;
  readonly atomic = false;
  readonly #mark: string;
  #ec2: { sdk: Ec2; client: EC2Client } | undefined;
  #quota: number | undefined;

  constructor(config: SecurityGroupsConfig) {
    this.config = config;
    this.#mark = markOf(config);
  }

  async read({ signal }: Looking): Promise<SeenGroups> {
    const { groups, name } = this.config;
    return asking(`${name}: ${groups.join(', ')}`, signal, async () => {
      const { sdk, client } = await this.#connect();
      const attachment = await readAttachment(sdk, client, groups, signal);
      const rules: Rule[] = [];
      const filter = { Name: 'group-id', Values: [...groups] };
      const pages = sdk.paginateDescribeSecurityGroupRules(
        { client, pageSize: 1000 },
        { Filters: [filter] },
        { abortSignal: signal },
      );
      for await (const page of pages) rules.push(...(page.SecurityGroupRules ?? []));
      const inbound = rules.filter(({ IsEgress }) => IsEgress === false);
      const sizes = await readListSizes(sdk, client, inbound, signal);
      const quota = await this.#readQuota(signal);
      const containers = groups.map((group) => {
        const own = inbound.filter(({ GroupId }) => GroupId === group);
        return toContainer(group, own, this.#mark, quota, sizes);
      });
      return { containers, attachment };
    });
  }

  plan(networks: readonly Cidr[], { containers }: SeenGroups): Plan {
    const { permissions } = this.config;
    const wanted = permissions.flatMap((permission) =>
      networks.map((network): Entry => ({ network, permission })),
    );
    return planEntries(wanted, containers, { atomic: this.atomic });
  }

  async apply({ add, remove }: Step, _seen: SeenGroups, work: Work): Promise<void> {
    const { sdk, client } = await this.#connect();
    const send = async (group: string, count: number, ask: () => Promise<unknown>) => {
      work.signal.throwIfAborted();
      await asking(`${this.config.name}: ${group}`, work.signal, ask);
      work.done(count);
    };
    const abort = { abortSignal: work.signal };
    try {
      for (const [group, placed] of byContainer(add)) {
        for (const batch of batches(placed, BATCH)) {
          const IpPermissions = this.#toPermissions(batch.map(({ entry }) => entry));
          const command = new sdk.AuthorizeSecurityGroupIngressCommand({
            GroupId: group,
            IpPermissions,
          });
          await send(group, batch.length, () => client.send(command, abort));
        }
      }
      for (const [group, placed] of byContainer(remove)) {
        for (const batch of batches(placed, BATCH)) {
          const SecurityGroupRuleIds = batch.map(({ entry }) => entry.id);
          const command = new sdk.RevokeSecurityGroupIngressCommand({
            GroupId: group,
            SecurityGroupRuleIds,
          });
          await send(group, batch.length, () => client.send(command, abort));
        }
      }
    } catch (error) {
      if (!OVERTAKEN.includes(causeCode(error))) throw this.#explain(error);
    }
  }

  unsettled(): readonly string[] {
    return [];
  }

  async settle(): Promise<void> {}

  notes(seen: SeenGroups, plan: Plan): readonly Note[] {
    return [
      ...groupNotes(this.config, seen.attachment, plan, this.#quota ?? RULES_PER_GROUP),
      ...foreignNotes(this.config, seen.containers),
    ];
  }

  close(): void {
    this.#ec2?.client.destroy();
  }

  async #connect(): Promise<{ sdk: Ec2; client: EC2Client }> {
    if (this.#ec2 === undefined) {
      const sdk = await import('@aws-sdk/client-ec2');
      this.#ec2 = { sdk, client: new sdk.EC2Client(clientOptions(this.config.aws)) };
    }
    return this.#ec2;
  }

  async #readQuota(signal: AbortSignal): Promise<number> {
    const { quota, aws } = this.config;
    this.#quota ??= quota ?? (await rulesPerGroup(clientOptions(aws), signal)) ?? RULES_PER_GROUP;
    return this.#quota;
  }

  /** One element for each permission: a request that repeats one is refused. */
  #toPermissions(entries: readonly Entry[]): IpPermission[] {
    const byPermission = new Map<string, { permission: Permission; same: Entry[] }>();
    for (const entry of entries) {
      const permission = entry.permission as Permission;
      const text = permissionText(permission);
      const group = byPermission.get(text) ?? { permission, same: [] };
      byPermission.set(text, group);
      group.same.push(entry);
    }
    const Description = this.#mark;
    return [...byPermission.values()].map(({ permission, same }) => {
      const of = (family: 4 | 6) =>
        same.map(({ network }) => network).filter(({ base }) => base.family === family);
      const four = of(4).map(({ text }) => ({ CidrIp: text, Description }));
      const six = of(6).map(({ text }) => ({ CidrIpv6: text, Description }));
      return {
        ...protocolOf(permission),
        ...(four.length > 0 && { IpRanges: four }),
        ...(six.length > 0 && { Ipv6Ranges: six }),
      };
    });
  }

  #explain(error: unknown): unknown {
    if (causeCode(error) !== 'RulesPerSecurityGroupLimitExceeded') return error;
    const message = `${this.config.name}: a group is full at fewer rules than its quota of ${this.#quota}; write the account's own quota into quota`;
    return new RangesError('ranges-no-room', message, { cause: error });
  }
}

/** `-1` has no ports, and ICMP has types in their place, of which -1 means all. */
function protocolOf({ protocol, ports }: Permission) {
  if (protocol === 'all') return { IpProtocol: '-1' };
  const { first, last } = ports ?? { first: -1, last: -1 };
  return { IpProtocol: protocol, FromPort: first, ToPort: last };
}

const PROTOCOLS: Readonly<Record<string, Permission['protocol']>> = {
  '-1': 'all',
  tcp: 'tcp',
  '6': 'tcp',
  udp: 'udp',
  '17': 'udp',
  icmp: 'icmp',
  '1': 'icmp',
  icmpv6: 'icmpv6',
  '58': 'icmpv6',
};

/** Undefined for what a target never writes: it is somebody else's, and takes its place all the same. */
function permissionOf({ IpProtocol, FromPort, ToPort }: Rule): Permission | undefined {
  const protocol = PROTOCOLS[IpProtocol ?? ''];
  if (protocol === undefined) return undefined;
  if (protocol === 'all') return { protocol, ports: undefined };
  if (protocol === 'tcp' || protocol === 'udp') {
    return { protocol, ports: { first: FromPort ?? 0, last: ToPort ?? 65535 } };
  }
  return (FromPort ?? -1) === -1 ? { protocol, ports: undefined } : undefined;
}

function toContainer(
  id: string,
  rules: readonly Rule[],
  mark: string,
  quota: number,
  sizes: ReadonlyMap<string, number>,
): Container {
  const reserved = { 4: 0, 6: 0 };
  const held = rules.flatMap((rule): HeldEntry[] => {
    const network = awsNetwork(rule.CidrIpv4 ?? rule.CidrIpv6);
    const permission = permissionOf(rule);
    if (network !== undefined && permission !== undefined) {
      const ours = rule.Description === mark;
      return [{ network, permission, ours, id: rule.SecurityGroupRuleId ?? '' }];
    }
    const takes = sizes.get(rule.PrefixListId ?? '') ?? 1;
    if (network?.base.family !== 6) reserved[4] += takes;
    if (network?.base.family !== 4) reserved[6] += takes;
    return [];
  });
  return { id, held: oncePerKey(held), reserved, quota: { 4: quota, 6: quota } };
}

/** AWS has no two rules that say the same; entries that differ in spelling alone would confuse a plan. */
function oncePerKey(held: readonly HeldEntry[]): HeldEntry[] {
  return [...new Map(held.map((entry) => [entryKey(entry), entry])).values()];
}

/** A reference to a prefix list takes as many places as that may have entries. */
async function readListSizes(
  sdk: Ec2,
  client: EC2Client,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const lists = new Set(rules.flatMap(({ PrefixListId }) => PrefixListId ?? []));
  const sizes = new Map<string, number>();
  if (lists.size === 0) return sizes;
  const pages = sdk.paginateDescribeManagedPrefixLists(
    { client },
    { PrefixListIds: [...lists] },
    { abortSignal: signal },
  );
  for await (const { PrefixLists = [] } of pages) {
    for (const { PrefixListId, MaxEntries } of PrefixLists) {
      if (PrefixListId !== undefined) sizes.set(PrefixListId, MaxEntries ?? 1);
    }
  }
  return sizes;
}
