import type { OutcomeEvent } from './event.ts';
import { searchAudit } from './search.ts';

/** Who used a credential towards which destination. */
export interface CredentialUses {
  readonly credential: string;
  readonly principal: string | null;
  readonly destination: string | null;
  count: number;
  /** How many of them had an answer that could not be looked at whole for the credential. */
  unmasked: number;
  /** ISO 8601, UTC: when the last of these exchanges ended. */
  last: string;
  /** Of the secret, the last that is known. */
  version: string | null;
}

/** The field that few lines have: the others are not parsed. */
const FIELD = 'credential';

/** What the record has of uses of credentials: in requests that were allowed, whatever became of them. */
export async function credentialUses(
  dir: string,
  range: { readonly sinceMs?: number | undefined; readonly untilMs?: number | undefined },
): Promise<CredentialUses[]> {
  const uses = new Map<string, CredentialUses>();
  for await (const lines of searchAudit(dir, { ...range, types: ['outcome'], text: FIELD })) {
    for (const line of lines) {
      const event = parse(line);
      if (event !== undefined) count(uses, event);
    }
  }
  return [...uses.values()];
}

function count(uses: Map<string, CredentialUses>, event: OutcomeEvent): void {
  const { credential, principal, destination, decision, time, outcome } = event;
  if (credential === undefined || decision?.effect !== 'allow') return;
  const key = JSON.stringify([credential.name, principal, destination]);
  const known = uses.get(key);
  const unmasked = outcome.unmasked === undefined ? 0 : 1;
  if (known === undefined) {
    const { name, version } = credential;
    const who = { credential: name, principal, destination };
    uses.set(key, { ...who, count: 1, unmasked, last: time, version });
    return;
  }
  known.count++;
  known.unmasked += unmasked;
  if (time < known.last) return;
  known.last = time;
  known.version = credential.version ?? known.version;
}

/** Undefined for a line that somebody damaged: `verify` tells about it. */
function parse(line: string): OutcomeEvent | undefined {
  try {
    return JSON.parse(line) as OutcomeEvent;
  } catch {
    return undefined;
  }
}
