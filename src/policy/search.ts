import { Ip } from '../core/ip.ts';
import { type Dialled, permits } from './address.ts';
import type { DestinationIndex, Place } from './destination-index.ts';
import {
  type Asked,
  CONDITION_RANKS,
  type CompiledAllow,
  type CompiledDeny,
  type CompiledRule,
  matchAllow,
  matchDeny,
} from './rule.ts';

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
  const best = new Best<CompiledAllow>();
  const forbidding = new Best<CompiledAllow>();
  let tied: CompiledAllow[] = [];
  let near: FoundAllow['near'];
  const places = host instanceof Ip ? index.listing(host) : index.named(host);
  for (const place of places) {
    place.rules.visit(asked.subject, (rule) => {
      const match = matchAllow(rule, asked);
      if (match === 'unreadable' || match === 'unclear-path') near ??= match;
      if (typeof match === 'string') return;
      const rank = place.rank * CONDITION_RANKS + match;
      if (dialled !== undefined && !permits(rule, place, dialled)) forbidding.offer(rule, rank);
      else {
        if (rank > best.rank) tied = [];
        else if (rank === best.rank) tied.push(rule, best.rule as CompiledAllow);
        best.offer(rule, rank);
      }
    });
  }
  const rival = best.rule && findRival(best.rule, tied, asked);
  return { rule: best.rule, rival, forbidding: forbidding.rule, near };
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
  const enforcing = new Best<CompiledDeny>();
  const reporting = new Best<CompiledDeny>();
  for (const place of denyPlaces(index, asked, dialled)) {
    place.rules.visit(asked.subject, (rule) => {
      const match = matchDeny(rule, asked);
      if (typeof match === 'string') return;
      const best = rule.config.report ? reporting : enforcing;
      best.offer(rule, place.rank * CONDITION_RANKS + match);
    });
  }
  return enforcing.rule ?? reporting.rule;
}

/** A deny's `*` means literals too, and its networks mean whatever is dialled. */
function denyPlaces(
  index: DestinationIndex<CompiledDeny>,
  asked: Asked,
  dialled: Dialled | undefined,
): Place<CompiledDeny>[] {
  const { host } = asked.question.destination;
  if (!(host instanceof Ip)) {
    const named = index.named(host);
    return dialled === undefined ? named : named.concat(index.listing(dialled.ip));
  }
  const listing = index.listing(dialled?.ip ?? host);
  return index.any === undefined ? listing : listing.concat(index.any);
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
