import type { DescribeSecurityGroupRulesCommandOutput, EC2Client } from '@aws-sdk/client-ec2';
import type { Permission } from '../../core/permission.ts';
import { awsNetwork } from '../aws/network-text.ts';
import { type Container, entryKey, type HeldEntry } from '../plan/entry.ts';

type Ec2 = typeof import('@aws-sdk/client-ec2');
export type Rule = NonNullable<
  DescribeSecurityGroupRulesCommandOutput['SecurityGroupRules']
>[number];

/** `-1` has no ports, and ICMP has types in their place, of which -1 means all. */
export function protocolOf({ protocol, ports }: Permission) {
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

export function toContainer(
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
export async function readListSizes(
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
