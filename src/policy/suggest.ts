import { DEFAULT_PORTS, type Destination, hostText } from '../core/destination.ts';
import { Ip } from '../core/ip.ts';

/** One thing that a workload was seen to reach. */
export interface Observation {
  readonly destination: Destination;
  /** Present where the address must be named, since it is not public. */
  readonly address: Ip | undefined;
}

/**
 * The smallest configuration under which a workload may reach what it was seen to reach, and nothing else.
 *
 * Hosts that need the same ports and addresses share a rule. The output is the same for any order of observations.
 */
export function suggestPolicy(principal: string, observations: readonly Observation[]): string {
  const rules = [...groupByNeeds(observations)].sort(([a], [b]) => (a < b ? -1 : 1));
  return `# What this run reached, and nothing more. Keep what is meant, delete what is not.
# To check or run it, set WORKLOAD_PASSWORD in the environment: the password by which ${principal} is known.
version: 1

listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:3128"

principals:
  ${principal}:
    identify:
      - basic: { username: ${principal}, password: { env: WORKLOAD_PASSWORD } }

rules:${rules.length === 0 ? ' []' : ''}
${rules.map(([, group], i) => ruleText(principal, group, i + 1)).join('')}`;
}

interface RuleGroup {
  /** undefined: the default ports of the scheme. */
  readonly port: number | undefined;
  readonly hosts: Set<string>;
  readonly addresses: Set<string>;
}

function groupByNeeds(observations: readonly Observation[]): Map<string, RuleGroup> {
  const groups = new Map<string, RuleGroup>();
  for (const { port, host, addresses } of byHostAndPort(observations)) {
    const key = `${port ?? ''} ${addresses.join(' ')}`;
    const group = groups.get(key) ?? { port, hosts: new Set(), addresses: new Set(addresses) };
    groups.set(key, group);
    group.hosts.add(host);
  }
  return groups;
}

interface HostNeeds {
  readonly host: string;
  readonly port: number | undefined;
  readonly addresses: readonly string[];
}

/** All addresses that one host was reached at belong to one rule: two equally specific rules would compete. */
function byHostAndPort(observations: readonly Observation[]): HostNeeds[] {
  const needs = new Map<
    string,
    { host: string; port: number | undefined; addresses: Set<string> }
  >();
  for (const { destination, address } of observations) {
    const { scheme } = destination;
    const port = destination.port === DEFAULT_PORTS[scheme] ? undefined : destination.port;
    const host = patternText(destination);
    const key = `${port ?? ''} ${host}`;
    const need = needs.get(key) ?? { host, port, addresses: new Set() };
    needs.set(key, need);
    if (address !== undefined && !(destination.host instanceof Ip))
      need.addresses.add(address.text);
  }
  return [...needs.values()].map((need) => ({ ...need, addresses: [...need.addresses].sort() }));
}

/** One-label hosts end in a dot; an undotted word would be a set. */
function patternText({ host }: Destination): string {
  if (host instanceof Ip) return host.text;
  const name = hostText(host);
  return name.includes('.') ? name : `${name}.`;
}

function ruleText(principal: string, group: RuleGroup, number: number): string {
  const quoted = (text: string) => (text.includes(':') ? JSON.stringify(text) : text);
  const hosts = [...group.hosts].sort().map((host) => `      - ${quoted(host)}\n`);
  const lines = [
    `  - name: ${principal}-${number}\n    allow: [${principal}]\n    to:\n${hosts.join('')}`,
  ];
  if (group.port !== undefined) lines.push(`    ports: [${group.port}]\n`);
  if (group.addresses.size > 0) {
    lines.push(`    addresses: [${[...group.addresses].map(quoted).join(', ')}]   # not public\n`);
  }
  return lines.join('');
}
