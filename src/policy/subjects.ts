import type { PrincipalConfig } from '../config/config.ts';
import type { Principal } from '../core/principal.ts';

/** What a rule may file a caller under. */
export interface Subject {
  readonly keys: readonly string[];
  readonly set: ReadonlySet<string>;
  /** What the policy would deny this caller is recorded and passes. */
  readonly report: boolean;
}

const EVERYONE = 'everyone';
const IDENTIFIED = 'identified';
const ANONYMOUS = 'anonymous';

/** More instances of templates than this are looked up anew. */
const MEMORY = 10_000;

/**
 * Who is who: the names of rules and groups resolved to keys.
 *
 * Keys carry their kind, so that a caller whose name a template fills in (`fn-{name}`) can never be taken for the group,
 * the template or the word (`anonymous`) that happens to be spelt like it.
 */
export class Subjects {
  readonly #groups: ReadonlyMap<string, readonly string[]>;
  readonly #templates: ReadonlySet<string>;
  readonly #reporting: ReadonlySet<string>;
  readonly #reportAll: boolean;
  /** From a key to the groups that hold it. */
  readonly #parents = new Map<string, string[]>();
  readonly #globs: { readonly pattern: RegExp; readonly group: string }[] = [];
  readonly #keys = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();
  readonly #memory = new Map<string, { template: string | undefined; subject: Subject }>();
  readonly #anonymous: Subject;

  constructor(
    groups: ReadonlyMap<string, readonly string[]>,
    principals: readonly PrincipalConfig[],
    reportAll: boolean,
  ) {
    this.#groups = groups;
    this.#templates = new Set(principals.map((p) => p.name).filter((name) => name.includes('{')));
    this.#reporting = new Set(principals.filter((p) => p.report).map((p) => p.name));
    this.#reportAll = reportAll;
    for (const [group, members] of groups) this.#addGroup(`group ${group}`, members);
    this.#anonymous = this.#subject([EVERYONE, ANONYMOUS], reportAll);
  }

  #addGroup(group: string, members: readonly string[]): void {
    for (const member of members) {
      if (member.includes('*')) this.#globs.push({ pattern: nameGlob(member), group });
      else {
        const key = this.keyOf(member);
        const parents = this.#parents.get(key);
        if (parents === undefined) this.#parents.set(key, [group]);
        else parents.push(group);
      }
    }
  }

  /** @param wildcard whom `*` stands for here: anybody at all, or anybody identified */
  keyOf(reference: string, wildcard: 'everyone' | 'identified' = IDENTIFIED): string {
    if (reference === '*') return wildcard;
    if (reference === 'anonymous') return ANONYMOUS;
    // One string for all rules that name the caller: a hundred thousand copies would be slow to look through.
    const known = this.#keys.get(reference);
    if (known !== undefined) return known;
    const key = `${this.#kindOf(reference)} ${reference}`;
    this.#keys.set(reference, key);
    return key;
  }

  /** One list for all rules that name the same callers. */
  keysOf(references: readonly string[], wildcard: 'everyone' | 'identified'): readonly string[] {
    const text = `${wildcard} ${JSON.stringify(references)}`;
    const known = this.#lists.get(text);
    if (known !== undefined) return known;
    const keys = references.map((reference) => this.keyOf(reference, wildcard));
    this.#lists.set(text, keys);
    return keys;
  }

  #kindOf(reference: string): 'group' | 'template' | 'principal' {
    if (this.#groups.has(reference)) return 'group';
    return this.#templates.has(reference) ? 'template' : 'principal';
  }

  of(principal: Principal | undefined): Subject {
    if (principal === undefined) return this.#anonymous;
    const known = this.#memory.get(principal.name);
    if (known !== undefined && known.template === principal.template) return known.subject;
    return this.#remember(principal);
  }

  #remember(principal: Principal): Subject {
    const { name, template } = principal;
    const start = [EVERYONE, IDENTIFIED, `principal ${name}`];
    if (template !== undefined) start.push(`template ${template}`);
    for (const { pattern, group } of this.#globs) if (pattern.test(name)) start.push(group);
    const report =
      this.#reportAll || this.#reporting.has(name) || this.#reporting.has(template ?? name);
    const subject = this.#subject(start, report);
    if (this.#memory.size >= MEMORY) {
      const [oldest] = this.#memory.keys();
      this.#memory.delete(oldest as string);
    }
    this.#memory.set(name, { template, subject });
    return subject;
  }

  #subject(start: readonly string[], report: boolean): Subject {
    const set = new Set(start);
    // A set visits what is added while it is walked: groups of groups follow, and a circle ends.
    for (const key of set) for (const parent of this.#parents.get(key) ?? []) set.add(parent);
    return { keys: [...set], set, report };
  }
}

/** `fn-*` as an expression over names; `*` stands for any characters. */
export function nameGlob(glob: string): RegExp {
  const parts = glob.split(/\*+/).map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}
