import type { ReadableRequest } from '../core/conversation.ts';
import type { Destination } from '../core/destination.ts';
import type { Principal } from '../core/principal.ts';

/** May this principal go there, now? */
export interface Question {
  /** Undefined: nobody identified. */
  readonly principal: Principal | undefined;
  readonly destination: Destination;
  /** It was asked in clear, and goes on over TLS for the sake of the credential that it takes on. */
  readonly upgraded?: true;
  /** Undefined when what will pass cannot be read. */
  readonly request: ReadableRequest | undefined;
  /** Milliseconds since the epoch, for rules that expire. */
  readonly now: number;
}
