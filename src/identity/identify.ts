import type { IdentifyConfig, PrincipalConfig, SecretRef } from '../config/config.ts';
import type { Evidence } from '../core/conversation.ts';
import { PublishedNetworks } from '../core/networks.ts';
import { IDENTITY_METHODS, type Principal } from '../core/principal.ts';
import type { Secret } from '../core/secret.ts';
import { compileBasic } from './basic.ts';
import { compileBearer } from './bearer.ts';
import { compileClientAddresses, isUsableFrom } from './client-address.ts';
import { createDigest } from './digest.ts';
import type { CompileReader, Entry, Presented, Reader } from './entry.ts';
import { compileHeaders } from './header.ts';
import type { Scheme } from './proxy-authorization.ts';

/** Who is calling: a principal, nobody in particular (anonymous), or somebody whose evidence does not hold. */
export type Identification =
  | { readonly principal: Principal | undefined }
  /** One clause for the refusal, without anything secret. */
  | { readonly invalid: string; readonly reason: 'identity-invalid' | 'list-outdated' };

export interface Identifier {
  /** The same evidence gives the same answer: identity is read anew on every request. */
  identify(evidence: Evidence): Identification;
  /** Lower-case names of headers that tell who is calling: they must never be forwarded. */
  readonly headerNames: ReadonlySet<string>;
  /** What a `Proxy-Authenticate` may offer. */
  readonly schemes: readonly Scheme[];
}

/** One line per method; its file says the rest. */
const METHODS = {
  header: compileHeaders,
  basic: compileBasic,
  bearer: compileBearer,
  clientAddress: compileClientAddresses,
} as const satisfies Partial<Record<(typeof IDENTITY_METHODS)[number], CompileReader>>;

type Method = keyof typeof METHODS;

/** @param secrets the values that the configuration refers to, read beforehand */
export function compileIdentity(
  principals: readonly PrincipalConfig[],
  secrets: (ref: SecretRef) => Secret,
  networks = PublishedNetworks.none,
): Identifier {
  const entries = principals.flatMap((principal) =>
    principal.identify.map((config) => compileEntry(principal, config, networks)),
  );
  const tools = {
    digest: createDigest(),
    bytes: (ref: SecretRef) => Buffer.from(secrets(ref).reveal(), 'utf8'),
  };
  const readers = Object.values(METHODS).map((compile) => compile(entries, tools));
  const uses = (method: Method) => entries.some(({ config }) => config[method] !== undefined);
  return {
    identify: networks.someClosed
      ? (evidence) => identify(readers, evidence, withoutClosed)
      : (evidence) => identify(readers, evidence, strongest),
    headerNames: new Set(entries.flatMap(({ config }) => config.header?.name.toLowerCase() ?? [])),
    schemes: [
      ...(uses('basic') ? ['Basic' as const] : []),
      ...(uses('bearer') ? ['Bearer' as const] : []),
    ],
  };
}

function compileEntry(
  { name, owner }: PrincipalConfig,
  config: IdentifyConfig,
  networks: PublishedNetworks,
): Entry {
  const present = keysOf(config);
  const method = IDENTITY_METHODS.find((key) => present.some((each) => each === key));
  if (method === undefined)
    throw new TypeError(`${name} has an entry that would recognise everybody`);
  const principal = { name, method, ...(owner === undefined ? {} : { owner }) };
  const from = config.clientAddress && networks.of(config.clientAddress);
  return { principal, config, from, keys: present.length };
}

function keysOf(config: IdentifyConfig): Method[] {
  return (Object.keys(METHODS) as Method[]).filter((method) => config[method] !== undefined);
}

type Choose = (holding: ReadonlySet<Entry>, evidence: Evidence) => Identification;

/** @param choose of several entries that hold */
function identify(readers: readonly Reader[], evidence: Evidence, choose: Choose): Identification {
  const presented: Presented[] = [];
  for (const reader of readers) {
    const read = reader.read(evidence);
    if (typeof read === 'string') return invalid(read);
    for (const one of read) presented.push(one);
  }
  const holding = new Set<Entry>();
  for (const { what, entries } of presented) {
    let held = false;
    for (const entry of entries) {
      if (!holds(entry, presented, evidence)) continue;
      held = true;
      holding.add(entry);
    }
    // No falling back: whoever presents something wrong is not taken for whom the rest of the evidence fits.
    if (!held) return invalid(`${what} ${shortcoming(entries)}`);
  }
  return choose(holding, evidence);
}

function invalid(clause: string): Identification {
  return { invalid: clause, reason: 'identity-invalid' };
}

/**
 * Who is known by nothing but a list that is too old is refused: neither taken for that principal, nor for the one that is
 * left, who may be allowed what that one is denied.
 */
function withoutClosed(holding: ReadonlySet<Entry>, { client }: Evidence): Identification {
  const found = strongest(holding);
  if ('invalid' in found || found.principal === undefined) return found;
  const sure = new Set([...holding].filter((entry) => isUsableFrom(entry, client) === true));
  if (sure.size === holding.size) return found;
  const left = strongest(sure);
  if (!('invalid' in left) && left.principal?.name === found.principal.name) return left;
  const clause = 'the list of addresses that tells who this is has not been renewed for too long';
  return { invalid: clause, reason: 'list-outdated' };
}

/** All keys of one entry at once. */
function holds(entry: Entry, presented: readonly Presented[], evidence: Evidence): boolean {
  if (isUsableFrom(entry, evidence.client) === false) return false;
  let shown = 0;
  for (const { entries } of presented) if (entries.includes(entry)) shown++;
  const asked = entry.keys - (entry.keys > 1 && entry.config.clientAddress !== undefined ? 1 : 0);
  return shown === asked;
}

function shortcoming(entries: readonly Entry[]): string {
  if (entries.length === 0) return 'does not belong to any principal';
  return entries.some(({ config }) => config.clientAddress !== undefined)
    ? 'is not accepted from this address, or not without more'
    : 'is not enough by itself';
}

/** The strongest method, then the most keys; what is left must be one principal. */
function strongest(holding: ReadonlySet<Entry>): Identification {
  let best: Entry | undefined;
  for (const entry of holding) {
    if (best === undefined || precedence(entry, best) < 0) best = entry;
  }
  if (best === undefined) return { principal: undefined };
  for (const other of holding) {
    if (other.principal.name === best.principal.name || precedence(other, best) !== 0) continue;
    const names = [best, other].map(({ principal }) => principal.name).sort();
    return invalid(`it fits two principals alike, ${names.join(' and ')}`);
  }
  return { principal: best.principal };
}

/** Below 0: the first one comes before the second. */
function precedence(a: Entry, b: Entry): number {
  return weakness(a) - weakness(b) || b.keys - a.keys;
}

function weakness({ principal }: Entry): number {
  return IDENTITY_METHODS.indexOf(principal.method);
}
