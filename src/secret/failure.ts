import { SekishoError } from '../core/errors.ts';

/** Why a secret cannot be had now. Only `missing` is the source's own answer; the others say nothing of the secret. */
export type FailureKind = 'missing' | 'denied' | 'throttled' | 'slow' | 'unavailable' | 'invalid';

/** A source does not give a secret. The message is for the log: it may quote the source, and holds no value. */
export class SecretFailure extends SekishoError {
  declare readonly code: FailureKind;

  constructor(code: FailureKind, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'SecretFailure';
  }
}

/** Whether what was read before may be used on for a while: nobody said that it no longer holds. */
export function isPassing({ code }: SecretFailure): boolean {
  return code === 'throttled' || code === 'slow' || code === 'unavailable';
}
