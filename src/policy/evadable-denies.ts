import { type Diagnostic, quote } from '../core/diagnostic.ts';
import type { CallerClass } from './callers.ts';
import type { Policy } from './compile.ts';
import { decideName } from './decide.ts';
import { type CompiledRule, readsInside } from './rule.ts';
import type { RuleCallers } from './rule-callers.ts';
import { Survey } from './survey.ts';

/** Denies with methods or paths, for hosts that a tunnel may reach: nobody sees the requests inside it. */
export function findEvadableDenies(
  rules: readonly CompiledRule[],
  policy: Policy,
  callers: RuleCallers,
  now: number,
): Diagnostic[] {
  const denies = rules.filter(
    ({ conditional, config }) => conditional && config.effect === 'deny' && !config.report,
  );
  if (denies.length === 0) return [];
  const survey = new Survey([policy.config]);
  return denies.flatMap((deny) => {
    const allowing = findTunnel(deny, policy, callers, survey, now);
    if (allowing === undefined) return [];
    const message =
      `the deny ${quote(deny.name)} looks at methods or paths, which a tunnel hides, and the rule ` +
      `${quote(allowing)} allows tunnels there`;
    const remedy =
      'leave methods and paths out of the deny, or allow these hosts by plain http only or with intercept: true';
    return [{ severity: 'fault', at: deny.config.at, message, remedy }];
  });
}

/** The rule that allows an opaque tunnel into what is denied. */
function findTunnel(
  deny: CompiledRule,
  policy: Policy,
  callers: RuleCallers,
  survey: Survey,
  now: number,
): string | undefined {
  const hosts = survey.hosts(deny.config, policy.config);
  const ports = survey.ports(deny.config, 'tunnel');
  for (const caller of callers.of(deny)) {
    for (const { host } of hosts) {
      for (const { first } of ports) {
        const rule = tunnelRule(policy, caller, { scheme: 'tunnel', host, port: first }, now);
        if (rule !== undefined) return rule;
      }
    }
  }
  return undefined;
}

function tunnelRule(
  policy: Policy,
  { principal }: CallerClass,
  destination: Parameters<typeof decideName>[1]['destination'],
  now: number,
): string | undefined {
  const decision = decideName(policy, { principal, destination, request: undefined, now });
  const { settings } = decision;
  // What is read is decided on request by request.
  const isRead = settings !== undefined && readsInside(settings, destination.port);
  return decision.effect === 'allow' && !isRead ? decision.rule : undefined;
}
