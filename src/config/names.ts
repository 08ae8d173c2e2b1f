import { Fault, quote } from '../core/diagnostic.ts';
import type { Cidr } from '../core/ip.ts';
import type { NetworkList } from '../core/networks.ts';
import type { Position } from './config.ts';
import { nearest } from './nearest.ts';

/** Sections whose keys are names that other sections refer to. */
export const NAMING_SECTIONS = ['principals', 'groups', 'sets', 'exits', 'credentials'] as const;
export type NamingSection = (typeof NAMING_SECTIONS)[number];

export interface Definition {
  at(): Position;
  /** Of the limited file it stands in; undefined in a file without `owner`. */
  readonly fileOwner: string | undefined;
}

/** What all files together define; references are resolved against it while the sections are parsed. */
export class Names {
  readonly principals = new Map<string, Definition>();
  readonly groups = new Map<string, Definition>();
  readonly sets = new Map<string, Definition>();
  readonly exits = new Map<string, Definition>();
  readonly credentials = new Map<string, Definition>();
  /** The addresses of each set. A set is missing here until it is read. */
  readonly networks = new Map<string, readonly Cidr[]>();
  /** Sets that follow published ranges. */
  readonly published = new Set<string>();
  /** What something refers to. */
  readonly used = {
    sets: new Set<string>(),
    exits: new Set<string>(),
    credentials: new Set<string>(),
  };
  /** False when a file could not be read: what it defines is unknown, so that nothing can be called undefined. */
  complete = true;
  /** A hint costs a look at many names, so a file full of faults gets only so many. */
  private hints = 200;

  /** A set used as a destination. @throws Fault */
  useSet(name: string): string {
    this.require(['sets'], name, `a one-label host ends in a dot: ${quote(`${name}.`)}`);
    this.used.sets.add(name);
    return name;
  }

  /** A set used as a list of addresses: those that it lists, or its name where they are published. @throws Fault */
  networksOf(name: string): NetworkList {
    this.require(['sets'], name, 'define it under sets, or write an address or a network');
    this.used.sets.add(name);
    return this.published.has(name) ? [name] : this.listedNetworks(name);
  }

  /** A set used as a list of addresses that only its owner changes. @throws Fault */
  ownNetworksOf(name: string): readonly Cidr[] {
    const networks = this.networksOf(name);
    if (!this.published.has(name)) return networks.filter((one) => typeof one !== 'string');
    throw new Fault(
      `the set ${quote(name)} follows a published list, and what is yours is for you to say`,
      'name the networks themselves',
    );
  }

  /** A set whose networks an allow-list elsewhere gets. @throws Fault */
  useSetOfTarget(name: string): string {
    this.require(['sets'], name, 'define it under sets');
    this.used.sets.add(name);
    if (!this.published.has(name)) this.listedNetworks(name);
    return name;
  }

  private listedNetworks(name: string): readonly Cidr[] {
    const networks = this.networks.get(name);
    if (networks?.length === 0) {
      throw new Fault(`the set ${quote(name)} has no addresses`, 'name a set that has some');
    }
    return networks ?? [];
  }

  /** @throws Fault */
  useExit(name: string): string {
    this.require(['exits'], name, 'define it under exits');
    this.used.exits.add(name);
    return name;
  }

  /** @throws Fault */
  useCredential(name: string): string {
    this.require(['credentials'], name, 'define it under credentials');
    this.used.credentials.add(name);
    return name;
  }

  /** A principal or group. @throws Fault */
  usePrincipal(name: string): string {
    this.require(['principals', 'groups'], name, 'define it under principals or groups');
    return name;
  }

  /** Principals that a glob (`fn-*`) matches. */
  principalsLike(glob: string): string[] {
    const parts = glob.split('*').map((part) => part.replace(/[^A-Za-z0-9_]/g, '\\$&'));
    const pattern = new RegExp(`^${parts.join('.*')}$`);
    return [...this.principals.keys()].filter((name) => pattern.test(name));
  }

  private require(sections: readonly NamingSection[], name: string, remedy: string): void {
    if (!this.complete || sections.some((section) => this[section].has(name))) return;
    const kind = sections.map((section) => section.slice(0, -1)).join(' or ');
    const hint = this.hints-- > 0 ? this.near(sections, name) : undefined;
    throw new Fault(
      `no ${kind} is called ${quote(name)}`,
      hint === undefined ? remedy : `did you mean ${quote(hint)}? Otherwise ${remedy}`,
    );
  }

  private near(sections: readonly NamingSection[], name: string): string | undefined {
    for (const section of sections) {
      const hint = nearest(name, this[section].keys());
      if (hint !== undefined) return hint;
    }
    return undefined;
  }
}

export const RESERVED: ReadonlySet<string> = new Set(['*', 'anonymous']);

const MAX_NAME = 128;
// A dot would make a set or an exit look like a host; names travel in headers, logs and metrics.
const WORD = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const CALLER = /^[A-Za-z0-9_{][A-Za-z0-9_.:@/+{}-]*$/;

/** A name of a set, an exit, a listener: one word. @throws Fault */
export function parseWord(name: string): string {
  if (name.length <= MAX_NAME && WORD.test(name)) return name;
  throw new Fault(
    `${quote(name)} is not a name`,
    'use letters, digits, "-" and "_", and begin with a letter',
  );
}

/** A name of a principal, a group or a rule. @throws Fault */
export function parseName(name: string): string {
  if (RESERVED.has(name))
    throw new Fault(`${quote(name)} is a reserved word`, 'choose another name');
  if (name.length <= MAX_NAME && CALLER.test(name)) return name;
  throw new Fault(
    `${quote(name)} is not a name`,
    'use letters, digits and . _ - : @ / +, and begin with a letter or digit',
  );
}
