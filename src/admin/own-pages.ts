import { type Memory, parseEvents } from '../audit/trail.ts';
import type { Evidence } from '../core/conversation.ts';
import type { Principal } from '../core/principal.ts';
import { REASONS } from '../core/reasons.ts';
import { Refusal } from '../core/refusal.ts';
import type { Identifier } from '../identity/identify.ts';

/** A page of `http://sekisho.internal/`: what a workload may ask the gateway through the proxy. */
export interface OwnPage {
  readonly status: number;
  readonly body: unknown;
}

export interface OwnPagesParts {
  readonly identifier: Identifier;
  /** Of this gateway's exchanges: what any client may ask must not read the disk. */
  readonly memory: Memory;
  readonly contact: string | undefined;
}

const WHY = '/v1/why/';

/**
 * @returns undefined where there is no such page
 * @throws Refusal `identity-invalid`: whoever guesses learns nothing here that a refused exchange would not tell
 */
export async function ownPage(
  path: string,
  evidence: Evidence,
  parts: OwnPagesParts,
): Promise<OwnPage | undefined> {
  const identified = parts.identifier.identify(evidence);
  if ('invalid' in identified) throw new Refusal(identified.reason, identified.invalid);
  const asker = identified.principal;
  if (path === '/v1/whoami') return { status: 200, body: whoami(asker, evidence) };
  if (path.startsWith(WHY)) return why(path.slice(WHY.length), asker, evidence, parts);
  return undefined;
}

function whoami(asker: Principal | undefined, { client }: Evidence): unknown {
  return {
    principal: asker?.name ?? null,
    identifiedBy: asker?.method ?? null,
    owner: asker?.owner ?? null,
    client,
  };
}

/** Own exchanges only: whose they are is told by the principal, and where there was none, by the client's address. */
async function why(
  id: string,
  asker: Principal | undefined,
  { client }: Evidence,
  { memory, contact }: OwnPagesParts,
): Promise<OwnPage> {
  const events = parseEvents(await memory.find(id));
  const last = events.at(-1);
  const principal = asker?.name ?? null;
  const own =
    last?.principal === principal &&
    (principal !== null || last.client.startsWith(`${client.bracketed}:`));
  if (last === undefined || !own) {
    return { status: 404, body: { error: 'no recent exchange of yours has this id' } };
  }
  const { decision } = last;
  return {
    status: 200,
    body: {
      id,
      time: last.time,
      principal,
      action: last.action,
      destination: last.destination,
      decision,
      says: decision && REASONS[decision.reason].says,
      todo: decision && REASONS[decision.reason].todo,
      outcome: last.type === 'outcome' ? last.outcome : null,
      contact: contact ?? null,
    },
  };
}
