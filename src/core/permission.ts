/** One protocol and its ports; `all` and the two of ICMP have none. */
export interface Permission {
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'icmpv6' | 'all';
  readonly ports: { readonly first: number; readonly last: number } | undefined;
}

/** `tcp:3306`, `udp:8000-8999`, `all`. */
export function permissionText({ protocol, ports }: Permission): string {
  if (ports === undefined) return protocol;
  const { first, last } = ports;
  return first === last ? `${protocol}:${first}` : `${protocol}:${first}-${last}`;
}
