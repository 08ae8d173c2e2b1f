import { SekishoError } from '../core/errors.ts';

/** What a client of a function is told when there is no answer of the function's. */
export const CALL_FAILURES = {
  'request-invalid': { status: 400, says: 'The request cannot be sent by a function.' },
  'request-too-large': { status: 413, says: 'The request is larger than a function may be given.' },
  'call-throttled': { status: 429, says: 'The function is called too often.' },
  'call-denied': { status: 502, says: 'AWS does not let this identity call the function.' },
  'call-failed': { status: 502, says: 'The function cannot be called.' },
  'function-failed': { status: 502, says: 'The function failed.' },
  'function-slow': { status: 504, says: 'The function does not answer in time.' },
} as const satisfies Record<string, { status: number; says: string }>;

export type CallFailureCode = keyof typeof CALL_FAILURES;

/** There is no answer of the function's. The message is for the log: it may quote AWS. */
export class CallFailure extends SekishoError {
  declare readonly code: CallFailureCode;

  constructor(code: CallFailureCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'CallFailure';
  }
}
