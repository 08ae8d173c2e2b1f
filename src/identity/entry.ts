import type { IdentifyConfig, SecretRef } from '../config/config.ts';
import type { Evidence } from '../core/conversation.ts';
import type { ListedNetworks } from '../core/networks.ts';
import type { Principal } from '../core/principal.ts';
import type { Digest } from './digest.ts';

/** One way to be recognised as one principal. */
export interface Entry {
  /** Its method is that of the entry's strongest key. */
  readonly principal: Principal;
  readonly config: IdentifyConfig;
  /** Where clients may be; undefined: anywhere. */
  readonly from: ListedNetworks | undefined;
  /** How many things must hold at once. */
  readonly keys: number;
}

/** One thing that a request presents, and the entries it is right for: none when it is wrong. */
export interface Presented {
  /** What it is, to begin a clause with. Holds nothing of its value. */
  readonly what: string;
  readonly entries: readonly Entry[];
}

/** One method, made ready for the entries that use it. */
export interface Reader {
  /** All that a request presents of this kind; a text when that has a fault in its form. */
  read(evidence: Evidence): readonly Presented[] | string;
}

export interface Secrets {
  readonly digest: Digest;
  /** The bytes of a secret. */
  bytes(ref: SecretRef): Buffer;
}

/** What the file of each method exports. */
export type CompileReader = (entries: readonly Entry[], secrets: Secrets) => Reader;
