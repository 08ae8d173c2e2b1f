import type { Config } from './config.ts';

/** The sets that follow a published list and that rules, principals or listeners name, in the order of the configuration. */
export function publishedInUse({ sets, rules, principals, listeners }: Config): string[] {
  const used = new Set<unknown>([
    ...rules.flatMap(({ to }) => to.map((pattern) => 'set' in pattern && pattern.set)),
    ...rules.flatMap((rule) => (rule.effect === 'allow' ? (rule.addresses ?? []) : [])),
    ...principals.flatMap(({ identify }) => identify.flatMap((entry) => entry.clientAddress ?? [])),
    ...listeners.flatMap(({ from, proxyProtocol }) => [
      ...(from ?? []),
      ...(proxyProtocol?.from ?? []),
    ]),
  ]);
  return [...sets].flatMap(([name, { published }]) => (published && used.has(name) ? [name] : []));
}
