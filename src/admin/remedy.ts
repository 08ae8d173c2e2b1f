import { parse } from 'tldts';
import { Document, isScalar, visit } from 'yaml';
import type { AllowRule, DenyRule, RuleConfig } from '../config/config.ts';
import { DEFAULT_PORTS, hostText } from '../core/destination.ts';
import { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import type { Question } from '../policy/policy.ts';

/** Lines of YAML that would let an exchange pass, and where they go. */
export interface Remedy {
  readonly place: string;
  readonly yaml: string;
  /** Under which condition the lines are not enough. */
  readonly note?: string;
}

/**
 * A rule for this principal and destination, and nothing else.
 *
 * @param near where that looks at methods or paths, the new one does so too
 */
export function newRule(
  principal: Principal,
  { destination, request }: Question,
  near: AllowRule | undefined,
): Remedy {
  const { host, port, scheme } = destination;
  const caller = principal.template ?? principal.name;
  const rule = {
    name: `${caller.replace(/[{}]/g, '')}-to-${hostText(host).replace(/[[\]]/g, '')}`,
    allow: [caller],
    to: [host instanceof Ip ? host.text : writtenName(host.name)],
    ...(port !== DEFAULT_PORTS[scheme] && { ports: [port] }),
    ...(near?.methods && request && { methods: [request.method] }),
    ...(near?.paths && request && { paths: [request.path] }),
  };
  return {
    place: 'a new rule',
    yaml: toYaml({ rules: [rule] }),
    ...(!(host instanceof Ip) && mayBeInside(host.name) && { note: NAME_THE_ADDRESS }),
  };
}

const NAME_THE_ADDRESS =
  'If the host has no public address, the rule must name the one that it has, too: addresses: [ADDRESS].';

/** A denied name was not looked up, so only the name tells: nothing public is registered under its last labels. */
function mayBeInside(name: string): boolean {
  const { isIcann, isPrivate, publicSuffix } = parse(name, { allowPrivateDomains: true });
  const isRegistered = (isIcann || isPrivate) && !publicSuffix?.endsWith('.arpa');
  return !name.includes('.') || !isRegistered;
}

/** An exception from the deny rule that decided. */
export function newException(principal: Principal, rule: DenyRule): Remedy {
  const excepted = [...new Set([...rule.except, principal.template ?? principal.name])];
  return { place: placeIn(rule), yaml: toYaml({ except: excepted }) };
}

/** The address that the rule has to name, since it is not public. */
export function namedAddress(address: string, rule: AllowRule): Remedy {
  const named = [...(rule.addresses ?? []).map(String), address];
  return { place: placeIn(rule), yaml: toYaml({ addresses: named }) };
}

/** Lets a tunnel carry what is not TLS. */
export function rawBytes(rule: AllowRule): Remedy {
  return { place: placeIn(rule), yaml: toYaml({ tls: 'off' }) };
}

/** Has the tunnel opened, for a rule that looks at requests. */
export function openedTunnel(rule: AllowRule): Remedy {
  const note = 'The workload must trust the CA of the gateway: sekisho ca install-help.';
  return { place: placeIn(rule), yaml: toYaml({ intercept: true }), note };
}

function placeIn(rule: RuleConfig): string {
  return `in rule ${rule.name} (${positionOf(rule)})`;
}

/** `file:line`. */
export function positionOf({ at }: RuleConfig): string {
  return `${at.file}:${at.line}`;
}

/** An undotted word would be a set. */
function writtenName(name: string): string {
  return name.includes('.') ? name : `${name}.`;
}

function toYaml(value: object): string {
  const document = new Document(value);
  visit(document, {
    Seq: (_, list) => {
      list.flow = list.items.every(isScalar);
    },
    Scalar: (_, scalar) => {
      // Unquoted, an IPv6 address is a trap to the next reader, and to the next editor of the line.
      if (String(scalar.value).includes(':')) scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
