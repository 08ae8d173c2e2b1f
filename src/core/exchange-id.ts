/** How many random hexadecimal digits an id takes. */
export const ID_DIGITS = 19;

const VARIANTS = '89ab';

/** When an exchange began, in milliseconds since the epoch. @param id from `exchangeId` */
export function exchangeTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The digits of an id that tell its time. @param time milliseconds since the epoch */
export function idStamp(time: number): string {
  const digits = time.toString(16).padStart(12, '0');
  return `${digits.slice(0, 8)}-${digits.slice(8)}`;
}

/**
 * A UUIDv7 (RFC 9562 5.7): sorts by time, so that a record can be found from its id alone.
 *
 * @param stamp from `idStamp`
 * @param random at least so many hexadecimal digits as an id takes, from `at` on
 */
export function exchangeId(stamp: string, random: string, at = 0): string {
  const variant = VARIANTS[digitValue(random.charCodeAt(at + 3)) & 3] as string;
  return `${stamp}-7${random.slice(at, at + 3)}-${variant}${random.slice(at + 4, at + 7)}-${random.slice(at + 7, at + ID_DIGITS)}`;
}

function digitValue(hexDigit: number): number {
  return hexDigit <= 0x39 ? hexDigit - 0x30 : hexDigit - 0x57;
}
