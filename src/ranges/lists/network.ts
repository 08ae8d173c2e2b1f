import { quote } from '../../core/diagnostic.ts';
import { Cidr, Ip } from '../../core/ip.ts';
import { RangesError } from '../ranges-error.ts';

/** No publisher owns more. A prefix that lost its last digit to a torn transfer would open half the world. */
const BROADEST = { 4: 8, 6: 16 } as const;

/**
 * A published network in its canonical form: IPv6 in lower case, bits beyond the prefix cleared, as whoever enforces it
 * reads it.
 *
 * @throws RangesError `ranges-refused` for what is no network, or too broad to be meant
 */
export function publishedNetwork(text: string): Cidr {
  const match = /^([0-9A-Fa-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text);
  const ip = Ip.parse(match?.[1] ?? '');
  const width = ip?.family === 4 ? 32 : 128;
  const bits = Number(match?.[2] ?? width);
  if (ip === undefined || bits > width) {
    throw new RangesError('ranges-refused', `${quote(text)} is not a network`);
  }
  if (bits < BROADEST[ip.family]) {
    const message = `${quote(text)} is broader than /${BROADEST[ip.family]}, which no list means`;
    throw new RangesError('ranges-refused', message);
  }
  return Cidr.around(ip, bits);
}

export function isNetwork(text: unknown): text is string {
  if (typeof text !== 'string') return false;
  const slash = text.indexOf('/');
  return Ip.parse(slash < 0 ? text : text.slice(0, slash)) !== undefined;
}
