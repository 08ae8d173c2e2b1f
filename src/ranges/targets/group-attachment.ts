import type { EC2Client } from '@aws-sdk/client-ec2';
import type { SecurityGroupsConfig } from '../../config/ranges-config.ts';
import { type Permission, permissionText } from '../../core/permission.ts';
import { isDenied } from '../aws/aws-failure.ts';
import { type Container, overlaps } from '../plan/entry.ts';
import type { Plan } from '../plan/plan.ts';
import { RangesError } from '../ranges-error.ts';
import type { Note } from './target.ts';

/** What groups are attached to: rules in a group that an interface lacks let nothing pass there. */
export interface Attachment {
  readonly vpcs: readonly string[];
  /** Interfaces with all groups on each; undefined where this may not be looked at. */
  readonly interfaces:
    | readonly { readonly id: string; readonly groups: readonly string[] }[]
    | undefined;
}

type Ec2 = typeof import('@aws-sdk/client-ec2');

/** The VPCs of the groups. @throws RangesError `ranges-conflict` where a group does not exist */
export async function readVpcs(
  sdk: Ec2,
  client: EC2Client,
  groups: readonly string[],
  signal: AbortSignal,
): Promise<Attachment['vpcs']> {
  const abort = { abortSignal: signal };
  const ids = [...groups];
  const described = await client.send(
    new sdk.DescribeSecurityGroupsCommand({ GroupIds: ids }),
    abort,
  );
  const there = described.SecurityGroups ?? [];
  const missing = ids.find((id) => !there.some(({ GroupId }) => GroupId === id));
  if (missing !== undefined) {
    throw new RangesError('ranges-conflict', `there is no security group ${missing}`);
  }
  return [...new Set(there.flatMap(({ VpcId }) => VpcId ?? []))];
}

export async function readInterfaces(
  sdk: Ec2,
  client: EC2Client,
  groups: readonly string[],
  signal: AbortSignal,
): Promise<Attachment['interfaces']> {
  const found: { id: string; groups: string[] }[] = [];
  try {
    const pages = sdk.paginateDescribeNetworkInterfaces(
      { client },
      { Filters: [{ Name: 'group-id', Values: [...groups] }] },
      { abortSignal: signal },
    );
    for await (const { NetworkInterfaces = [] } of pages) {
      for (const { NetworkInterfaceId = '', Groups = [] } of NetworkInterfaces) {
        found.push({
          id: NetworkInterfaceId,
          groups: Groups.flatMap(({ GroupId }) => GroupId ?? []),
        });
      }
    }
    return found;
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
}

/** AWS holds rules in a group times groups on an interface below this. */
const RULES_PER_INTERFACE = 1000;
/** Fewer places than this part of the quota: time to make the next group. */
const LITTLE = 0.1;

export function groupNotes(
  config: SecurityGroupsConfig,
  { vpcs, interfaces }: Attachment,
  plan: Plan,
  quota: number,
): Note[] {
  const notes: Note[] = [];
  const warn = (text: string) => notes.push({ level: 'warning', text });
  if (vpcs.length > 1) warn(`the groups are in several VPCs: ${vpcs.join(', ')}`);
  if (interfaces === undefined) {
    notes.push({ level: 'note', text: 'whether the groups are attached could not be looked at' });
  } else if (interfaces.length === 0) {
    warn('no network interface has any of the groups: they let nothing pass to anywhere');
  }
  for (const { id, groups } of interfaces ?? []) {
    const lacking = config.groups.filter((group) => !groups.includes(group));
    if (lacking.length > 0)
      warn(`${id} lacks ${lacking.join(', ')}: what stands there does not pass to it`);
    if (groups.length * quota > RULES_PER_INTERFACE) {
      warn(
        `${id} has ${groups.length} groups of ${quota} rules, and AWS allows ${RULES_PER_INTERFACE} rules on an interface`,
      );
    }
  }
  const next = nextGroup(config, vpcs[0], plan);
  if (next !== undefined) notes.push(next);
  return notes;
}

const SHOWN = 5;

/** From where else the same ports are reached: by rules of others, which stay. */
export function foreignNotes(
  config: SecurityGroupsConfig,
  containers: readonly Container[],
): Note[] {
  const foreign = containers.flatMap(({ id, held }) =>
    held
      .filter(({ ours, permission }) => {
        const isOurs = (own: Permission) => permission !== undefined && overlaps(own, permission);
        return !ours && config.permissions.some(isOurs);
      })
      .map((entry) => ({ id, entry })),
  );
  if (foreign.length === 0) return [];
  const isOpen = foreign.some(({ entry }) => entry.network.bits === 0);
  const widest = [...foreign].sort((a, b) => a.entry.network.bits - b.entry.network.bits);
  const shown = widest.slice(0, SHOWN).map(({ id, entry: { network, permission } }) => {
    return `${network.text} ${permission === undefined ? '' : permissionText(permission)} in ${id}`;
  });
  const more = foreign.length > SHOWN ? ` and ${foreign.length - SHOWN} more` : '';
  const text = `rules of others let the same ports be reached from ${shown.join(', ')}${more}`;
  return [{ level: isOpen ? 'warning' : 'note', text }];
}

function nextGroup(
  config: SecurityGroupsConfig,
  vpc: string | undefined,
  plan: Plan,
): Note | undefined {
  const tight = ([4, 6] as const).find((family) => {
    const rooms = plan.room.filter((room) => room.family === family && room.after > 0);
    const quota = rooms.reduce((sum, room) => sum + room.quota, 0);
    const left = rooms.reduce((sum, room) => sum + room.quota - room.after, 0);
    return plan.shortage.length > 0 || (rooms.length > 0 && left < quota * LITTLE);
  });
  if (tight === undefined) return undefined;
  const name = `${config.name}-${config.groups.length + 1}`;
  const text = `room runs out: create the security group ${name} in ${vpc ?? 'the same VPC'}, attach it beside ${config.groups.join(', ')}, and add it to groups`;
  return { level: plan.shortage.length > 0 ? 'warning' : 'note', text };
}
