import { Ip } from '../core/ip.ts';
import { type Dialled, permits } from './address.ts';
import type { DestinationIndex } from './destination-index.ts';
import type { Question } from './question.ts';
import {
  type Asked,
  CONDITION_RANKS,
  type CompiledAllow,
  type CompiledDeny,
  type CompiledRule,
  matchAllow,
  matchDeny,
} from './rule.ts';
import type { Place, RuleVisitor } from './rule-cells.ts';

export interface FoundAllow {
  /** The most specific rule that matches and permits the address. */
  readonly rule: CompiledAllow | undefined;
  /** An equally specific one that would pass the exchange in another way. */
  readonly rival: CompiledAllow | undefined;
  /** The most specific rule that matches by name and permits no such address. */
  readonly forbidding: CompiledAllow | undefined;
  /** What alone kept a rule from matching. */
  readonly near: 'unreadable' | 'unclear-path' | undefined;
}

/** @param dialled undefined: judge by name alone */
export function findAllow(
  index: DestinationIndex<CompiledAllow>,
  asked: Asked,
  dialled: Dialled | undefined,
): FoundAllow {
  const { host } = asked.question.destination;
  const search = new AllowSearch(asked, dialled);
  if (host instanceof Ip) index.visitListing(host, asked.subject, search);
  else index.visitNamed(host, asked.subject, search);
  return search.found();
}

class AllowSearch implements RuleVisitor<CompiledAllow> {
  readonly #asked: Asked;
  readonly #dialled: Dialled | undefined;
  readonly #best = new Best<CompiledAllow>();
  readonly #forbidding = new Best<CompiledAllow>();
  #tied: CompiledAllow[] | undefined;
  #near: FoundAllow['near'];

  constructor(asked: Asked, dialled: Dialled | undefined) {
    this.#asked = asked;
    this.#dialled = dialled;
  }

  meet(rule: CompiledAllow, place: Place): void {
    if (!passesAs(rule, this.#asked.question, this.#dialled)) return;
    const match = matchAllow(rule, this.#asked);
    if (match === 'unreadable' || match === 'unclear-path') this.#near ??= match;
    if (typeof match === 'string') return;
    const rank = place.rank * CONDITION_RANKS + match;
    if (this.#dialled !== undefined && !permits(rule, place, this.#dialled)) {
      this.#forbidding.offer(rule, rank);
      return;
    }
    const best = this.#best;
    if (rank > best.rank) this.#tied = undefined;
    else if (rank === best.rank) {
      this.#tied ??= [];
      this.#tied.push(rule, best.rule as CompiledAllow);
    }
    best.offer(rule, rank);
  }

  found(): FoundAllow {
    const { rule } = this.#best;
    const tied = this.#tied;
    const rival = rule && tied && findRival(rule, tied, this.#asked);
    return { rule, rival, forbidding: this.#forbidding.rule, near: this.#near };
  }
}

/** What became a request over TLS is so for the sake of a credential, and what is dialled in clear gets none. */
function passesAs(
  { settings }: CompiledAllow,
  { destination, upgraded }: Question,
  dialled: Dialled | undefined,
): boolean {
  const isLent = settings.credential !== undefined;
  if (upgraded) return isLent;
  return dialled === undefined || destination.scheme !== 'http' || !isLent;
}

/** Of the rules that tie with the winner, the first by name that it matters not to have won. */
function findRival(
  winner: CompiledAllow,
  tied: readonly CompiledAllow[],
  { question }: Asked,
): CompiledAllow | undefined {
  const rival = new Best<CompiledAllow>();
  for (const rule of tied) {
    // Rules whose conditions are judged later, on each inner request, may part ways there.
    const provisional = rule.conditional && question.request === undefined;
    if (!provisional && rule.signature !== winner.signature) rival.offer(rule, 0);
  }
  return rival.rule;
}

/** The deny rule that is told: one that enforces before one that reports, then the most specific. */
export function findDeny(
  index: DestinationIndex<CompiledDeny>,
  asked: Asked,
  dialled: Dialled | undefined,
): CompiledDeny | undefined {
  const { host } = asked.question.destination;
  const { subject } = asked;
  const search = new DenySearch(asked);
  // A deny's `*` means literals too, and its networks mean whatever is dialled.
  if (host instanceof Ip) {
    index.visitListing(dialled?.ip ?? host, subject, search);
    index.visitAny(subject, search);
  } else {
    index.visitNamed(host, subject, search);
    if (dialled !== undefined) index.visitListing(dialled.ip, subject, search);
  }
  return search.found();
}

class DenySearch implements RuleVisitor<CompiledDeny> {
  readonly #asked: Asked;
  readonly #enforcing = new Best<CompiledDeny>();
  readonly #reporting = new Best<CompiledDeny>();

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  meet(rule: CompiledDeny, place: Place): void {
    const match = matchDeny(rule, this.#asked);
    if (typeof match === 'string') return;
    const best = rule.report ? this.#reporting : this.#enforcing;
    best.offer(rule, place.rank * CONDITION_RANKS + match);
  }

  found(): CompiledDeny | undefined {
    return this.#enforcing.rule ?? this.#reporting.rule;
  }
}

/** The highest ranked rule; among equals the one first in the order of names, so that the order of rules never matters. */
class Best<R extends CompiledRule> {
  rule: R | undefined;
  rank = -1;

  offer(rule: R, rank: number): void {
    if (rank < this.rank) return;
    if (rank === this.rank && this.rule !== undefined && this.rule.name <= rule.name) return;
    this.rule = rule;
    this.rank = rank;
  }
}
