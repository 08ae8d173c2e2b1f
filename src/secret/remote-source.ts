import type { RemoteSecretRef } from '../config/config.ts';
import type { Fetched } from './cache.ts';

export type RemoteRefOf<From extends RemoteSecretRef['from']> = Extract<
  RemoteSecretRef,
  { from: From }
>;

/** One kind of place elsewhere that secrets are kept in, and change in while the gateway runs. */
export interface RemoteSource<From extends RemoteSecretRef['from']> {
  /** The place as a person would look for it; never the value. */
  describe(ref: RemoteRefOf<From>): string;
  /** @throws SecretFailure */
  fetch(ref: RemoteRefOf<From>, signal: AbortSignal): Promise<Fetched<string>>;
}
