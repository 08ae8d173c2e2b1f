import { RangesError } from '../ranges-error.ts';
import { reasonOf } from '../surroundings.ts';

/** What AWS calls an error: `InvalidPermission.Duplicate`. */
export function awsCode(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

const DENIED = /^(?:UnauthorizedOperation|AccessDenied(?:Exception)?|WAFInvalidPermissionPolicy)/;

export function isDenied(error: unknown): boolean {
  return DENIED.test(awsCode(error));
}

/** Runs a call, and says in our own terms what became of it. @param what it is about: `sg-1` */
export async function asking<Answer>(
  what: string,
  signal: AbortSignal,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RangesError) throw error;
    const hint = isDenied(error) ? '; sekisho ranges policy prints the rights it takes' : '';
    const message = `${what}: ${awsCode(error)}: ${reasonOf(error)}${hint}`;
    throw new RangesError('ranges-unavailable', message, { cause: error });
  }
}

/** The code of AWS behind one of our errors. */
export function causeCode(error: unknown): string {
  return error instanceof RangesError ? awsCode(error.cause) : awsCode(error);
}
