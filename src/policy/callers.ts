import type { Principal } from '../core/principal.ts';
import type { Policy, PolicyConfig } from './compile.ts';
import { nameGlob } from './subjects.ts';

/** Callers that no rule of a policy tells apart. */
export interface CallerClass {
  readonly callers: readonly Caller[];
  /** One that stands for all. */
  readonly principal: Principal | undefined;
}

export interface Caller {
  readonly name: string;
  readonly principal: Principal | undefined;
}

/**
 * Everybody who may call: each principal, an instance of each template (under the template's own name, and under each
 * name that a group's glob could single out), and nobody identified.
 */
export function callersOf({ principals, groups }: PolicyConfig): Caller[] {
  const globs = [...groups.values()].flat().filter((member) => member.includes('*'));
  const callers: Caller[] = [{ name: 'anonymous', principal: undefined }];
  for (const { name } of principals) {
    if (!name.includes('{')) callers.push(caller(name));
    else {
      const pattern = nameGlob(name.replace(/\{[^}]*\}/g, '*'));
      const singled = globs.map((glob) => glob.replace(/\*+/g, 'x'));
      const names = [name, ...singled.filter((each) => pattern.test(each))];
      for (const each of new Set(names)) callers.push(caller(each, name));
    }
  }
  return callers;
}

function caller(name: string, template?: string): Caller {
  const principal = {
    name,
    method: 'header',
    ...(template === undefined ? {} : { template }),
  } as const;
  return { name, principal };
}

/** @param policies whose rules must all treat the callers of a class alike */
export function classify(callers: readonly Caller[], policies: readonly Policy[]): CallerClass[] {
  const used = policies.map((policy) => keysInUse(policy));
  const classes = new Map<string, Caller[]>();
  for (const one of callers) {
    const keys = policies.map((policy, i) => {
      const { keys, report } = policy.subjects.of(one.principal);
      const isDeclared = declares(policy.config, one);
      return [isDeclared, report, ...keys.filter((key) => used[i]?.has(key)).sort()];
    });
    const key = JSON.stringify(keys);
    const others = classes.get(key);
    if (others === undefined) classes.set(key, [one]);
    else others.push(one);
  }
  return [...classes.values()].map((members) => ({
    callers: members,
    principal: members[0]?.principal,
  }));
}

/** Whether the policy knows the caller at all. */
export function declares({ principals }: PolicyConfig, { principal }: Caller): boolean {
  if (principal === undefined) return true;
  const declared = principal.template ?? principal.name;
  return principals.some(({ name }) => name === declared);
}

function keysInUse({ config, subjects }: Policy): ReadonlySet<string> {
  const keys = new Set(['everyone', 'identified', 'anonymous']);
  for (const rule of config.rules) {
    const excepted = rule.effect === 'deny' ? rule.except : [];
    for (const name of [...rule.principals, ...excepted]) keys.add(subjects.keyOf(name));
  }
  return keys;
}
