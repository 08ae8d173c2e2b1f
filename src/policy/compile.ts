import type { Config } from '../config/config.ts';
import type { ParentHop } from '../core/decision.ts';
import { hostText } from '../core/destination.ts';
import { finish, type Work } from '../core/work.ts';
import { DestinationIndex } from './destination-index.ts';
import {
  type CompiledAllow,
  type CompiledDeny,
  compileAllow,
  compileDeny,
  type Parents,
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
  readonly allows: DestinationIndex<CompiledAllow>;
  readonly denies: DestinationIndex<CompiledDeny>;
}

/** As `compiling`, in one go. */
export function compile(config: PolicyConfig): Policy {
  return finish(compiling(config));
}

/** @param config as `load` gives it: every name in it is defined */
export function* compiling(config: PolicyConfig): Work<Policy> {
  const subjects = new Subjects(config.groups, config.principals, config.enforcement === 'report');
  const parents = parentsOf(config.exits);
  const spelling = new Spelling();
  const allows = new DestinationIndex<CompiledAllow>(config.sets, spelling);
  const denies = new DestinationIndex<CompiledDeny>(config.sets, spelling);
  for (const rule of config.rules) {
    if (rule.effect === 'allow') yield* allows.adding(compileAllow(rule, subjects, parents));
    else yield* denies.adding(compileDeny(rule, subjects));
  }
  return { config, subjects, parents, allows, denies };
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
