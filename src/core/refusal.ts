import { SekishoError } from './errors.ts';
import type { Reason, Trouble } from './reasons.ts';

/** A fault in what the client sent, found before or outside the policy. `detail` says what is wrong with it. */
export class Refusal extends SekishoError {
  readonly reason: Reason;

  constructor(reason: Reason, detail: string) {
    super(reason, detail);
    this.name = 'Refusal';
    this.reason = reason;
  }
}

/** Trouble on a leg of an exchange that was allowed. The message is for the record, never for the client. */
export class UpstreamError extends SekishoError {
  declare readonly code: Trouble;

  constructor(code: Trouble, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'UpstreamError';
  }
}
