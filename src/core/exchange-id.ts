const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, '0'),
);

/** When an exchange began, in milliseconds since the epoch. @param id from `exchangeId` */
export function exchangeTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/**
 * A UUIDv7 (RFC 9562 5.7): sorts by time, so that a record can be found from its id alone.
 *
 * @param time milliseconds since the epoch
 * @param random at least 10 random bytes from `offset` on
 */
export function exchangeId(time: number, random: Uint8Array, offset = 0): string {
  const at = (i: number) => HEX[random[offset + i] as number] as string;
  const stamp = time.toString(16).padStart(12, '0');
  const version = HEX[0x70 | ((random[offset] as number) & 0x0f)] as string;
  const variant = HEX[0x80 | ((random[offset + 2] as number) & 0x3f)] as string;
  return (
    `${stamp.slice(0, 8)}-${stamp.slice(8)}-${version}${at(1)}-${variant}${at(3)}-` +
    at(4) +
    at(5) +
    at(6) +
    at(7) +
    at(8) +
    at(9)
  );
}
