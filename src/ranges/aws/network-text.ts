import { Cidr, Ip } from '../../core/ip.ts';

/** A network as AWS writes it: IPv6 in any form, always with a prefix. Undefined for anything else. */
export function awsNetwork(text: string | undefined): Cidr | undefined {
  const [address = '', bits = ''] = (text ?? '').split('/');
  const ip = Ip.parse(address);
  if (ip === undefined || !/^\d{1,3}$/.test(bits)) return undefined;
  return Number(bits) <= ip.words.length * 32 ? Cidr.around(ip, Number(bits)) : undefined;
}
