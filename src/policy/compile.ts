import type { Config } from '../config/config.ts';
import { DestinationIndex } from './destination-index.ts';
import { type CompiledAllow, type CompiledDeny, compileAllow, compileDeny } from './rule.ts';
import { Subjects } from './subjects.ts';

/** The part of the configuration that decides. */
export type PolicyConfig = Pick<Config, 'principals' | 'groups' | 'sets' | 'rules' | 'enforcement'>;

/** A policy made ready to decide: the cost of a decision does not grow with the number of rules. */
export interface Policy {
  readonly config: PolicyConfig;
  readonly subjects: Subjects;
  readonly allows: DestinationIndex<CompiledAllow>;
  readonly denies: DestinationIndex<CompiledDeny>;
}

/** @param config as `load` gives it: every name in it is defined */
export function compile(config: PolicyConfig): Policy {
  const subjects = new Subjects(config.groups, config.principals, config.enforcement === 'report');
  const allows = new DestinationIndex<CompiledAllow>(config.sets);
  const denies = new DestinationIndex<CompiledDeny>(config.sets);
  for (const rule of config.rules) {
    if (rule.effect === 'allow') allows.add(compileAllow(rule, subjects));
    else denies.add(compileDeny(rule, subjects));
  }
  return { config, subjects, allows, denies };
}
