import { Cidr, Ip } from '../../../src/core/ip.ts';
import { AwsError } from './aws-error.ts';
import { items, page } from './ec2-protocol.ts';
import type { Input, Operation } from './service.ts';

export interface FakeRule {
  readonly id: string;
  readonly group: string;
  readonly egress: boolean;
  readonly protocol: string;
  readonly from: number;
  readonly to: number;
  /** A network in canonical form, `pl-…` or `sg-…`. */
  readonly peer: string;
  readonly description: string | undefined;
}

interface IpPermission {
  readonly IpProtocol?: string;
  readonly FromPort?: string;
  readonly ToPort?: string;
  readonly IpRanges?: readonly { readonly CidrIp: string; readonly Description?: string }[];
  readonly Ipv6Ranges?: readonly { readonly CidrIpv6: string; readonly Description?: string }[];
}

/** Security groups and the interfaces that they are attached to, with EC2's quotas and errors. */
export class FakeSecurityGroups {
  readonly rules: FakeRule[] = [];
  readonly interfaces: { id: string; groups: string[] }[] = [];
  readonly #groups = new Map<string, string>();
  /** Inbound rules of one family in a group. */
  quota = 60;
  pageSize = 7;
  /** So many looks at the rules show what was before the last change. */
  lag = 0;
  /** Places that a reference to a prefix list takes. */
  weightOf: (list: string) => number = () => 1;
  /** Called after every change. */
  onChange: () => void = () => undefined;
  #stale: readonly FakeRule[] | undefined;
  #looks = 0;
  #number = 0;

  addGroup(id: string, vpc = 'vpc-1'): void {
    this.#groups.set(id, vpc);
  }

  /** A rule that somebody made by other means. */
  addRule(group: string, peer: string, more: Partial<FakeRule> = {}): void {
    const rule = { egress: false, protocol: 'tcp', from: 3306, to: 3306, description: undefined };
    this.rules.push({ ...rule, id: this.#newId(), group, peer, ...more });
  }

  /** Whether a connection from there comes through any of the groups. */
  passes(address: string, port = 3306): boolean {
    const ip = Ip.parse(address) as Ip;
    return this.rules.some(
      ({ egress, protocol, from, to, peer }) =>
        !egress &&
        (protocol === '-1' || (protocol === 'tcp' && from <= port && port <= to)) &&
        Cidr.parse(peer)?.contains(ip) === true,
    );
  }

  readonly operations: Readonly<Record<string, Operation>> = {
    DescribeSecurityGroups: (input) => this.#describeGroups(input),
    DescribeSecurityGroupRules: (input) => this.#describeRules(input),
    DescribeNetworkInterfaces: (input) => this.#describeInterfaces(input),
    AuthorizeSecurityGroupIngress: (input) => this.#authorize(input),
    RevokeSecurityGroupIngress: (input) => this.#revoke(input),
  };

  #describeGroups({ GroupId: ids }: Input) {
    const found = (ids as string[]).map((id) => ({
      groupId: this.#known(id),
      vpcId: this.#groups.get(id),
    }));
    return { securityGroupInfo: items(found) };
  }

  #known(id: unknown): string {
    if (typeof id === 'string' && this.#groups.has(id)) return id;
    throw new AwsError('InvalidGroup.NotFound', `The security group '${id}' does not exist`);
  }

  #describeRules(input: Input) {
    const groups = filterOf(input, 'group-id');
    const stale = this.#looks > 0 ? this.#stale : undefined;
    if (input.NextToken === undefined && this.#looks > 0) this.#looks--;
    const own = (stale ?? this.rules).filter(({ group }) => groups.includes(group));
    const { slice, ...more } = page(own, input, this.pageSize);
    return { securityGroupRuleSet: items(slice.map(described)), ...more };
  }

  #describeInterfaces(input: Input) {
    const groups = filterOf(input, 'group-id');
    const found = this.interfaces.filter((one) =>
      one.groups.some((group) => groups.includes(group)),
    );
    const { slice, ...more } = page(found, input, this.pageSize);
    const told = slice.map((one) => ({
      networkInterfaceId: one.id,
      groupSet: items(one.groups.map((groupId) => ({ groupId }))),
    }));
    return { networkInterfaceSet: items(told), ...more };
  }

  #authorize({ GroupId, IpPermissions = [] }: Input) {
    const group = this.#known(GroupId);
    const made = (IpPermissions as IpPermission[]).flatMap((permission) =>
      this.#rulesOf(group, permission),
    );
    if (made.length === 0)
      throw new AwsError('MissingParameter', 'Either ipPermissions or a rule is required');
    const keys = made.map(keyOf);
    if (new Set(keys).size < keys.length || repeats(IpPermissions as IpPermission[])) {
      throw new AwsError(
        'InvalidParameterValue',
        'The same permission must not appear multiple times',
      );
    }
    const there = new Set(this.rules.map(keyOf));
    const twice = made.find((rule) => there.has(keyOf(rule)));
    if (twice !== undefined) {
      const message = `the specified rule "peer: ${twice.peer}, TCP, from port: ${twice.from}, to port: ${twice.to}, ALLOW" already exists`;
      throw new AwsError('InvalidPermission.Duplicate', message);
    }
    for (const family of [4, 6] as const) {
      const count = [...this.rules, ...made]
        .filter((rule) => rule.group === group && !rule.egress)
        .reduce((sum, rule) => sum + this.#takes(rule, family), 0);
      if (count > this.quota && made.some((rule) => this.#takes(rule, family) > 0)) {
        const message = 'The maximum number of rules per security group has been reached.';
        throw new AwsError('RulesPerSecurityGroupLimitExceeded', message);
      }
    }
    this.#change(() => this.rules.push(...made));
    return { return: true, securityGroupRuleSet: items(made.map(described)) };
  }

  #takes({ peer }: FakeRule, family: 4 | 6): number {
    if (peer.startsWith('pl-')) return this.weightOf(peer);
    if (peer.startsWith('sg-')) return 1;
    return peer.includes(':') === (family === 6) ? 1 : 0;
  }

  #rulesOf(group: string, permission: IpPermission): FakeRule[] {
    const { IpProtocol: protocol = '', FromPort, ToPort } = permission;
    if (protocol !== '-1' && (FromPort === undefined || ToPort === undefined)) {
      throw new AwsError(
        'InvalidParameterValue',
        `Invalid value 'Must specify both from and to ports with TCP/UDP/ICMP.' for portRange.`,
      );
    }
    const four = (permission.IpRanges ?? []).map((one) => ({ text: one.CidrIp, ...one }));
    const six = (permission.Ipv6Ranges ?? []).map((one) => ({ text: one.CidrIpv6, ...one }));
    return [...four, ...six].map(({ text, Description: description }) => {
      if (!/^[\w .\-:/()#,@[\]+=&;{}!$*]{0,255}$/.test(description ?? '')) {
        throw new AwsError('InvalidParameterValue', 'Invalid rule description.');
      }
      const ports =
        protocol === '-1' ? { from: -1, to: -1 } : { from: Number(FromPort), to: Number(ToPort) };
      return {
        id: this.#newId(),
        group,
        egress: false,
        protocol,
        ...ports,
        peer: canonical(text),
        description,
      };
    });
  }

  #revoke({ GroupId, SecurityGroupRuleId = [] }: Input) {
    const group = this.#known(GroupId);
    const ids = SecurityGroupRuleId as string[];
    const missing = ids.find(
      (id) => !this.rules.some((rule) => rule.id === id && rule.group === group),
    );
    if (missing !== undefined) {
      throw new AwsError(
        'InvalidSecurityGroupRuleId.NotFound',
        `The security group rule ID '${missing}' does not exist`,
      );
    }
    for (const id of ids) {
      this.#change(() =>
        this.rules.splice(
          this.rules.findIndex((rule) => rule.id === id),
          1,
        ),
      );
    }
    return { return: true };
  }

  #change(make: () => void): void {
    this.#stale = [...this.rules];
    this.#looks = this.lag;
    make();
    this.onChange();
  }

  #newId(): string {
    return `sgr-${(++this.#number).toString(16).padStart(17, '0')}`;
  }
}

function described(rule: FakeRule) {
  const { id, group, egress, protocol, from, to, peer, description } = rule;
  const network = peer.includes(':') ? { cidrIpv6: peer } : { cidrIpv4: peer };
  const of = peer.startsWith('pl-')
    ? { prefixListId: peer }
    : peer.startsWith('sg-')
      ? { referencedGroupInfo: { groupId: peer } }
      : network;
  return {
    securityGroupRuleId: id,
    groupId: group,
    isEgress: egress,
    ipProtocol: protocol,
    // Of all protocols there are no ports to tell.
    ...(protocol !== '-1' && { fromPort: from, toPort: to }),
    description,
    ...of,
  };
}

function keyOf({ group, egress, protocol, from, to, peer }: FakeRule): string {
  return [group, egress, protocol, from, to, peer].join(' ');
}

function repeats(permissions: readonly IpPermission[]): boolean {
  const keys = permissions.map(({ IpProtocol, FromPort, ToPort }) =>
    [IpProtocol, FromPort, ToPort].join(),
  );
  return new Set(keys).size < keys.length;
}

/** @throws AwsError */
export function canonical(text: string): string {
  const [address = '', bits = ''] = text.split('/');
  const ip = Ip.parse(address);
  if (ip === undefined || !/^\d+$/.test(bits) || Number(bits) > ip.words.length * 32) {
    throw new AwsError('InvalidParameterValue', `CIDR block ${text} is malformed`);
  }
  return Cidr.around(ip, Number(bits)).text;
}

export function filterOf({ Filter = [] }: Input, name: string): readonly string[] {
  const filters = Filter as { Name: string; Value: string[] }[];
  return filters.find((one) => one.Name === name)?.Value ?? [];
}
