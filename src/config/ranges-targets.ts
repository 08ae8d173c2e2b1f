import { resolve } from 'node:path';
import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import type { Permission } from '../core/permission.ts';
import type { Names } from './names.ts';
import type { AwsPlace, RangesTargetConfig } from './ranges-config.ts';
import { ALWAYS, choice, line, list, named, oneOrMore, parsed, says, section } from './shape.ts';
import { port } from './units.ts';

/** Text of one form. */
function form(pattern: RegExp, what: string, example: string) {
  return parsed((text) => {
    if (pattern.test(text)) return text;
    throw new Fault(`${quote(text)} is not ${what}`, `write ${example}`);
  });
}

const roleArn = form(
  /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/,
  "a role's ARN",
  'arn:aws:iam::123456789012:role/ranges',
);

/** Where AWS is asked, and as whom. */
const awsShape = {
  region: form(/^[a-z]{2}(?:-[a-z]+)+-\d$/, 'a region', 'ap-northeast-1'),
  assumeRole: z
    .union([roleArn, section({ role: roleArn, externalId: line.optional() })])
    .optional(),
  endpoint: form(
    /^https?:\/\/[^/?#@]+\/?$/,
    'an endpoint',
    'https://vpce-1.ec2.ap-northeast-1.vpce.amazonaws.com',
  ).optional(),
};

const PORTLESS: readonly string[] = ['icmp', 'icmpv6', 'all'];

const securityGroups = section({
  ...awsShape,
  groups: list(form(/^sg-[0-9a-z]+$/, 'the id of a security group', 'sg-0123456789abcdef0')),
  protocol: oneOrMore(choice(['tcp', 'udp', 'icmp', 'icmpv6', 'all'])),
  port: oneOrMore(port).optional(),
  quota: z.int().min(1).max(1000).optional(),
}).superRefine(({ protocol, port }, context) => {
  const protocols: unknown = protocol;
  if (!Array.isArray(protocols)) return;
  const withoutPorts = protocols.filter((one) => PORTLESS.includes(one));
  const message =
    port === undefined && withoutPorts.length < protocols.length
      ? says('these protocols have ports', 'write port: 3306')
      : port !== undefined && withoutPorts.length > 0
        ? says(
            `${withoutPorts.join(' and ')} has no ports`,
            'remove port, or make it a target of its own',
          )
        : undefined;
  if (message !== undefined) context.addIssue({ code: 'custom', message });
}, ALWAYS);

const prefixLists = section({
  ...awsShape,
  lists: list(form(/^pl-[0-9a-z]+$/, 'the id of a prefix list', 'pl-0123456789abcdef0')),
  maxEntries: z.int().min(1).max(1000).optional(),
});

const wafIpSets = section({
  ...awsShape,
  ipSets: list(
    section({
      name: form(/^[\w-]{1,128}$/, 'the name of an IP set', 'tokyo-ec2'),
      id: form(/^[0-9a-f-]{1,36}$/, 'the id of an IP set', 'a1b2c3d4-5678-90ab-cdef-111122223333'),
    }),
  ),
  scope: choice(['REGIONAL', 'CLOUDFRONT']).default('REGIONAL'),
}).refine(({ scope, region }) => scope !== 'CLOUDFRONT' || region === 'us-east-1', {
  error: says('CloudFront has its IP sets in us-east-1 alone', 'write region: us-east-1'),
});

const identifier = form(/^[A-Za-z_][\w/.-]{0,126}$/, 'a name of nftables', 'allowed4');
const nftables = section({
  family: choice(['inet', 'ip', 'ip6']).default('inet'),
  table: identifier,
  ipv4: identifier.optional(),
  ipv6: identifier.optional(),
}).refine(({ ipv4, ipv6 }) => ipv4 !== undefined || ipv6 !== undefined, {
  error: says('this names no set', 'write ipv4, ipv6 or both: the names of sets in that table'),
});

const file = section({
  path: line,
  format: choice(['plain', 'json', 'nginx', 'squid', 'haproxy']),
  check: list(line).optional(),
  reload: list(line).optional(),
});

const KINDS = ['securityGroups', 'prefixLists', 'wafIpSets', 'nftables', 'file'] as const;

export function targetsSchema(names: Names) {
  const target = section({
    set: oneOrMore(parsed((text) => names.useSetOfTarget(text))),
    securityGroups: securityGroups.optional(),
    prefixLists: prefixLists.optional(),
    wafIpSets: wafIpSets.optional(),
    nftables: nftables.optional(),
    file: file.optional(),
  }).superRefine((written, context) => {
    const given = KINDS.filter((kind) => written[kind] !== undefined);
    if (given.length === 1) return;
    const message =
      given.length === 0
        ? says('this target is nowhere', `write one of ${KINDS.join(', ')}`)
        : says(`a target is of one kind, and this is ${given.join(' and ')}`, 'make two of it');
    context.addIssue({ code: 'custom', message });
  }, ALWAYS);
  return named(target);
}

type Written = z.output<ReturnType<typeof targetsSchema>>[string];

export function toTarget(
  name: string,
  written: Written,
  at: RangesTargetConfig['at'],
  folder: string,
): RangesTargetConfig {
  const base = { name, sets: written.set, at };
  if (written.securityGroups !== undefined) {
    const { groups, quota } = written.securityGroups;
    const permissions = permissionsOf(written.securityGroups);
    const aws = awsPlace(written.securityGroups);
    return { ...base, kind: 'securityGroups', groups, quota, permissions, aws };
  }
  if (written.prefixLists !== undefined) {
    const { lists, maxEntries } = written.prefixLists;
    return { ...base, kind: 'prefixLists', lists, maxEntries, aws: awsPlace(written.prefixLists) };
  }
  if (written.wafIpSets !== undefined) {
    const { ipSets, scope } = written.wafIpSets;
    return { ...base, kind: 'wafIpSets', ipSets, scope, aws: awsPlace(written.wafIpSets) };
  }
  if (written.nftables !== undefined) {
    const { family, table, ipv4, ipv6 } = written.nftables;
    return { ...base, kind: 'nftables', family, table, ipv4, ipv6 };
  }
  const { path, format, check, reload } = written.file as NonNullable<Written['file']>;
  return { ...base, kind: 'file', path: resolve(folder, path), format, check, reload };
}

function awsPlace(written: Pick<z.output<typeof prefixLists>, keyof typeof awsShape>): AwsPlace {
  const { region, assumeRole, endpoint } = written;
  const role =
    typeof assumeRole === 'string'
      ? { arn: assumeRole, externalId: undefined }
      : assumeRole && { arn: assumeRole.role, externalId: assumeRole.externalId };
  return { region, role, endpoint };
}

function permissionsOf({ protocol, port }: z.output<typeof securityGroups>): Permission[] {
  const ports = port ?? [undefined];
  return protocol.flatMap((one) => ports.map((range) => ({ protocol: one, ports: range })));
}
