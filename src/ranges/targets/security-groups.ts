import type { IpPermission } from '@aws-sdk/client-ec2';
import type { SecurityGroupsConfig } from '../../config/ranges-config.ts';
import type { Cidr } from '../../core/ip.ts';
import { type Permission, permissionText } from '../../core/permission.ts';
import { asking, causeCode } from '../aws/aws-failure.ts';
import { besideOptions } from '../aws/client-options.ts';
import { readDatabases } from '../aws/databases.ts';
import { ec2 } from '../aws/lazy-client.ts';
import { RULES_PER_GROUP, rulesPerGroup } from '../aws/quota.ts';
import type { Entry } from '../plan/entry.ts';
import { type Plan, planEntries } from '../plan/plan.ts';
import type { Step } from '../plan/steps.ts';
import { RangesError } from '../ranges-error.ts';
import { databaseNotes } from './database-notes.ts';
import { foreignNotes, groupNotes, readInterfaces, readVpcs } from './group-attachment.ts';
import { protocolOf, type Rule, readListSizes, toContainer } from './security-group-rules.ts';
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

interface SeenGroups extends Standing {
  readonly vpcs: readonly string[];
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
  readonly #ec2: ReturnType<typeof ec2>;
  #quota: number | undefined;

  constructor(config: SecurityGroupsConfig) {
    this.config = config;
    this.#mark = markOf(config);
    this.#ec2 = ec2(config.aws);
  }

  async read({ signal }: Looking): Promise<SeenGroups> {
    const { groups, name } = this.config;
    return asking(`${name}: ${groups.join(', ')}`, signal, async () => {
      const { sdk, client } = await this.#ec2.get();
      const vpcs = await readVpcs(sdk, client, groups, signal);
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
      return { containers, vpcs };
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
    const { sdk, client } = await this.#ec2.get();
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

  async notes(seen: SeenGroups, plan: Plan, { signal }: Looking): Promise<readonly Note[]> {
    const { groups, aws, name } = this.config;
    const interfaces = await asking(`${name}: ${groups.join(', ')}`, signal, async () => {
      const { sdk, client } = await this.#ec2.get();
      return readInterfaces(sdk, client, groups, signal);
    });
    const attachment = { vpcs: seen.vpcs, interfaces };
    return [
      ...groupNotes(this.config, attachment, plan, this.#quota ?? RULES_PER_GROUP),
      ...foreignNotes(this.config, seen.containers),
      ...databaseNotes(await readDatabases(besideOptions(aws), groups, signal)),
    ];
  }

  close(): void {
    this.#ec2.close();
  }

  async #readQuota(signal: AbortSignal): Promise<number> {
    const { quota, aws } = this.config;
    this.#quota ??= quota ?? (await rulesPerGroup(besideOptions(aws), signal)) ?? RULES_PER_GROUP;
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
