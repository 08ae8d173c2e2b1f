import type { Config } from './config.ts';

/** It is asked for every second, of a configuration that may have a hundred thousand rules and stays the same. */
const known = new WeakMap<Config, readonly string[]>();

/** The sets that follow a published list and that rules, principals or listeners name, in the order of the configuration. */
export function publishedInUse(config: Config): readonly string[] {
  const names = known.get(config) ?? findPublishedInUse(config);
  known.set(config, names);
  return names;
}

function findPublishedInUse({ sets, rules, principals, listeners }: Config): string[] {
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
