import { SekishoError } from '../core/errors.ts';

export type RangesCode =
  /** A list that must not be used. */
  | 'ranges-refused'
  /** A list or a target that cannot be reached. */
  | 'ranges-unavailable'
  /** The networks do not fit. */
  | 'ranges-no-room'
  /** A target that is not as the configuration has it, or is changed by somebody else at the same time. */
  | 'ranges-conflict'
  /** Another apply is under way. */
  | 'ranges-locked';

/** What keeps an allow-list from following its ranges. */
export class RangesError extends SekishoError {
  declare readonly code: RangesCode;

  constructor(code: RangesCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'RangesError';
  }
}
