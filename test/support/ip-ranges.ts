/** Random numbers of a seed: the same on every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const REGIONS = ['ap-northeast-1', 'us-east-1', 'eu-west-1', 'ap-southeast-2', 'GLOBAL'];
const SERVICES = ['EC2', 'S3', 'CLOUDFRONT', 'DYNAMODB', 'LAMBDA_EDGE'];

export interface IpRangesOptions {
  readonly seed?: number;
  readonly syncToken?: string;
  readonly prefixes?: number;
}

/** An `ip-ranges.json` of the shape of the real one: each network of a service once more as AMAZON, some neighbours. */
export function ipRangesJson(options: IpRangesOptions = {}): string {
  const { seed = 1, syncToken = '1769904000', prefixes = 10_000 } = options;
  const random = seeded(seed);
  const pick = (words: readonly string[]) => words[Math.floor(random() * words.length)] as string;
  const four: object[] = [];
  const six: object[] = [];
  for (let i = 0; four.length + six.length < prefixes; i++) {
    const region = pick(REGIONS);
    const service = pick(SERVICES);
    const labels = { region, network_border_group: region };
    if (random() < 0.7) {
      const bits = 14 + Math.floor(random() * 15);
      const size = 2 ** (32 - bits);
      const base = Math.floor((2 ** 24 * 3 + i * 2 ** 18 + random() * 2 ** 18) / size) * size;
      const ip_prefix = `${[24, 16, 8, 0].map((shift) => (base >>> shift) & 255).join('.')}/${bits}`;
      four.push({ ip_prefix, service: 'AMAZON', ...labels }, { ip_prefix, service, ...labels });
    } else {
      const ipv6_prefix = `2600:1f${(i & 255).toString(16).padStart(2, '0')}:${((i >> 8) & 15).toString(16)}000::/36`;
      six.push({ ipv6_prefix, service: 'AMAZON', ...labels }, { ipv6_prefix, service, ...labels });
    }
  }
  const createDate = '2026-02-01-00-00-00';
  return JSON.stringify({ syncToken, createDate, prefixes: four, ipv6_prefixes: six });
}

/** An `ip-ranges.json` with these networks as EC2's of one region. */
export function ec2Ranges(networks: readonly string[], syncToken = '1769904000'): string {
  const labels = {
    region: 'ap-northeast-1',
    service: 'EC2',
    network_border_group: 'ap-northeast-1',
  };
  const isSix = (network: string) => network.includes(':');
  return JSON.stringify({
    syncToken,
    createDate: '2026-02-01-00-00-00',
    prefixes: networks
      .filter((network) => !isSix(network))
      .map((ip_prefix) => ({ ip_prefix, ...labels })),
    ipv6_prefixes: networks.filter(isSix).map((ipv6_prefix) => ({ ipv6_prefix, ...labels })),
  });
}
