import type { SecretRef } from '../config/config.ts';
import { Fault } from '../core/diagnostic.ts';
import type { SecretFiles } from './secret-files.ts';

export interface SecretSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: what is on disk now. */
  readonly files?: SecretFiles;
}

/** The reference that one kind of source takes. */
export type RefOf<From extends SecretRef['from']> = Extract<SecretRef, { from: From }>;

/** One kind of place that secrets come from. */
export interface SecretSource<From extends SecretRef['from']> {
  /** The place as a person would look for it; never the value. */
  describe(ref: RefOf<From>): string;
  /** @throws Fault */
  read(ref: RefOf<From>, surroundings: SecretSurroundings): string;
}

/**
 * What no secret may be, wherever it comes from: empty, where a failed deployment would pass for a password, or with
 * characters that end a header (RFC 9110 5.5).
 *
 * @param multiline for keys in PEM, which go into no header
 * @throws Fault
 */
export function checkValue(description: string, value: string, multiline = false): void {
  if (value === '') throw new Fault(`the secret ${description} is empty`, 'give it a value');
  if (!multiline && /[\r\n\0]/.test(value)) {
    throw new Fault(
      `the secret ${description} has a line break or a NUL inside`,
      'keep it on one line',
    );
  }
}
