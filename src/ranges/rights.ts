import type {
  AwsPlace,
  PrefixListsConfig,
  RangesTargetConfig,
  SecurityGroupsConfig,
  WafIpSetsConfig,
} from '../config/ranges-config.ts';

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
}

export interface RightsPolicy {
  /** Who needs it: a role that is assumed, or whoever runs this. */
  readonly role: string | undefined;
  readonly policy: { readonly Version: '2012-10-17'; readonly Statement: readonly Statement[] };
}

/**
 * The least rights that targets need, for each role that is assumed and for whoever assumes them.
 *
 * @param functionName of the Lambda function that applies, which writes a log
 */
export function rightsOf(
  targets: readonly RangesTargetConfig[],
  functionName?: string,
): RightsPolicy[] {
  const byRole = new Map<string | undefined, Statement[]>();
  const add = (role: string | undefined, statements: readonly Statement[]) => {
    byRole.set(role, [...(byRole.get(role) ?? []), ...statements]);
  };
  const roles = new Set<string>();
  for (const target of targets) {
    if (target.kind === 'nftables' || target.kind === 'file') continue;
    const { role } = target.aws;
    if (role !== undefined) roles.add(role.arn);
    add(role?.arn, statementsOf(target));
  }
  if (functionName !== undefined) {
    const [region = ''] = targets.flatMap((target) => ('aws' in target ? target.aws.region : []));
    const logs = `arn:${partitionOf(region)}:logs:*:*:log-group:/aws/lambda/${functionName}:*`;
    add(undefined, [allow('WriteLog', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logs])]);
  }
  if (roles.size > 0) add(undefined, [allow('AssumeRoles', ['sts:AssumeRole'], [...roles])]);
  return [...byRole].map(([role, statements]) => ({
    role,
    policy: { Version: '2012-10-17', Statement: merged(statements) },
  }));
}

type AwsTarget = Exclude<RangesTargetConfig, { kind: 'nftables' | 'file' }>;

function statementsOf(target: AwsTarget): Statement[] {
  switch (target.kind) {
    case 'securityGroups':
      return ofSecurityGroups(target);
    case 'prefixLists':
      return ofPrefixLists(target);
    case 'wafIpSets':
      return ofIpSets(target);
  }
}

/** EC2 knows no resources in what only reads. */
function ofSecurityGroups({ groups, quota, aws }: SecurityGroupsConfig): Statement[] {
  const read = [
    'ec2:DescribeManagedPrefixLists',
    'ec2:DescribeNetworkInterfaces',
    'ec2:DescribeSecurityGroupRules',
    'ec2:DescribeSecurityGroups',
  ];
  const change = ['ec2:AuthorizeSecurityGroupIngress', 'ec2:RevokeSecurityGroupIngress'];
  const changed = [
    ...groups.map((group) => awsArn('ec2', aws, `security-group/${group}`)),
    awsArn('ec2', aws, 'security-group-rule/*'),
  ];
  return [
    allow('ReadSecurityGroups', read),
    allow(
      'ReadDatabases',
      ['rds:DescribeDBClusters', 'rds:DescribeDBInstances'],
      [awsArn('rds', aws, 'cluster:*'), awsArn('rds', aws, 'db:*')],
    ),
    ...(quota === undefined ? [allow('ReadQuota', ['servicequotas:GetServiceQuota'])] : []),
    allow('ChangeSecurityGroups', change, changed),
  ];
}

function ofPrefixLists({ lists, aws }: PrefixListsConfig): Statement[] {
  const change = [
    'ec2:GetManagedPrefixListAssociations',
    'ec2:GetManagedPrefixListEntries',
    'ec2:ModifyManagedPrefixList',
  ];
  const changed = lists.map((list) => awsArn('ec2', aws, `prefix-list/${list}`));
  return [
    allow('ReadPrefixLists', ['ec2:DescribeManagedPrefixLists']),
    allow('ChangePrefixLists', change, changed),
  ];
}

function ofIpSets({ ipSets, scope, aws }: WafIpSetsConfig): Statement[] {
  const where = scope === 'CLOUDFRONT' ? 'global' : 'regional';
  const sets = ipSets.map(({ name, id }) => awsArn('wafv2', aws, `${where}/ipset/${name}/${id}`));
  return [allow('ChangeIpSets', ['wafv2:GetIPSet', 'wafv2:UpdateIPSet'], sets)];
}

function allow(
  Sid: string,
  Action: readonly string[],
  Resource: readonly string[] = ['*'],
): Statement {
  return { Sid, Effect: 'Allow', Action, Resource };
}

/** One statement for each purpose, however many targets have it. */
function merged(statements: readonly Statement[]): Statement[] {
  const bySid = new Map<string, Statement>();
  for (const one of statements) {
    const same = bySid.get(one.Sid);
    const Resource = [...new Set([...(same?.Resource ?? []), ...one.Resource])];
    bySid.set(one.Sid, { ...one, Resource });
  }
  return [...bySid.values()];
}

function awsArn(service: string, place: AwsPlace, resource: string): string {
  return `arn:${partitionOf(place.region)}:${service}:${place.region}:${accountOf(place)}:${resource}`;
}

/** The role's account, where one is assumed; whose groups these are is not known otherwise. */
function accountOf({ role }: AwsPlace): string {
  return role?.arn.split(':')[4] ?? '*';
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}
