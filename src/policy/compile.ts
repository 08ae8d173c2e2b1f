import type { Config } from '../config/config.ts';
import type { ParentHop } from '../core/decision.ts';
import { hostText } from '../core/destination.ts';
import { PublishedNetworks } from '../core/networks.ts';
import { finish, type Work } from '../core/work.ts';
import { DestinationIndex } from './destination-index.ts';
import {
  type CompiledAllow,
  type CompiledDeny,
  compileAllow,
  compileDeny,
  type Parents,
  withoutClosed,
} from './rule.ts';
import { Spelling } from './spelling.ts';
import { Subjects } from './subjects.ts';

/** The part of the configuration that decides. */
export type PolicyConfig = Pick<
  Config,
  'principals' | 'groups' | 'sets' | 'rules' | 'enforcement' | 'exits'
>;

/** A policy made ready to decide: the cost of a decision does not grow with the number of rules. */
export interface Policy {
  readonly config: PolicyConfig;
  readonly subjects: Subjects;
  readonly parents: Parents;
  readonly networks: PublishedNetworks;
  readonly allows: DestinationIndex<CompiledAllow>;
  readonly denies: DestinationIndex<CompiledDeny>;
  /** While a set is closed: the allow rules without it. What passes has to pass by these as well. */
  readonly open: DestinationIndex<CompiledAllow> | undefined;
}

/** As `compiling`, in one go. */
export function compile(config: PolicyConfig): Policy {
  return finish(compiling(config));
}

/**
 * @param config as `load` gives it: every name in it is defined
 * @param made the networks of its sets, where they are at hand
 */
export function* compiling(config: PolicyConfig, made?: PublishedNetworks): Work<Policy> {
  const networks = made ?? (yield* PublishedNetworks.making(config.sets));
  const subjects = new Subjects(config.groups, config.principals, config.enforcement === 'report');
  const parents = parentsOf(config.exits);
  const spelling = new Spelling();
  const allows = new DestinationIndex<CompiledAllow>(config.sets, spelling);
  const denies = new DestinationIndex<CompiledDeny>(config.sets, spelling);
  const open = networks.someClosed
    ? new DestinationIndex<CompiledAllow>(openSets(config.sets), spelling)
    : undefined;
  const policy = { config, subjects, parents, networks, allows, denies, open };
  for (const rule of config.rules) {
    if (rule.effect === 'deny') {
      yield* denies.adding(compileDeny(rule, subjects));
      continue;
    }
    const compiled = compileAllow(rule, policy);
    yield* allows.adding(compiled);
    if (open !== undefined) yield* open.adding(withoutClosed(compiled));
  }
  return policy;
}

function openSets(sets: PolicyConfig['sets']): PolicyConfig['sets'] {
  return new Map(
    Array.from(sets, ([name, set]) => [name, set.closed ? { ...set, entries: [] } : set]),
  );
}

/** The parent proxies that exits lead through. */
export function parentsOf(exits: PolicyConfig['exits']): Parents {
  const parents = exits.flatMap((exit): [string, ParentHop][] => {
    if (exit.kind !== 'parent') return [];
    const { host, port, resolve } = exit.parent;
    return [[exit.name, { name: `${hostText(host)}:${port}`, resolves: resolve === 'parent' }]];
  });
  return new Map(parents);
}
