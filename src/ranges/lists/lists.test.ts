import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipRangesJson } from '../../../test/support/ip-ranges.ts';
import type { RangesProvider } from '../../config/ranges-config.ts';
import { filterList } from '../filter.ts';
import { readList } from './lists.ts';

const ANY = { service: [], region: [], borderGroup: [] };

/** Form, text, filters, and the networks that pass them. */
type Row = readonly [RangesProvider, unknown, Partial<Record<string, string[]>>, readonly string[]];

const AWS = {
  syncToken: '1769904000',
  createDate: '2026-02-01-00-00-00',
  prefixes: [
    {
      ip_prefix: '13.112.0.0/14',
      region: 'ap-northeast-1',
      service: 'AMAZON',
      network_border_group: 'ap-northeast-1',
    },
    {
      ip_prefix: '13.112.0.0/14',
      region: 'ap-northeast-1',
      service: 'EC2',
      network_border_group: 'ap-northeast-1',
    },
    {
      ip_prefix: '15.193.0.0/19',
      region: 'ap-northeast-1',
      service: 'EC2',
      network_border_group: 'ap-northeast-1-tpe-1',
    },
    {
      ip_prefix: '52.95.4.0/24',
      region: 'us-east-1',
      service: 'S3',
      network_border_group: 'us-east-1',
    },
  ],
  ipv6_prefixes: [
    {
      ipv6_prefix: '2406:DA14::/36',
      region: 'ap-northeast-1',
      service: 'EC2',
      network_border_group: 'ap-northeast-1',
    },
  ],
};

const TABLE: readonly Row[] = [
  ['aws', AWS, {}, ['13.112.0.0/14', '15.193.0.0/19', '52.95.4.0/24', '2406:da14::/36']],
  [
    'aws',
    AWS,
    { service: ['EC2'], region: ['ap-northeast-1'] },
    ['13.112.0.0/14', '15.193.0.0/19', '2406:da14::/36'],
  ],
  ['aws', AWS, { borderGroup: ['ap-northeast-1-tpe-1'] }, ['15.193.0.0/19']],
  ['aws', AWS, { service: ['S3', 'EC2'], region: ['us-east-1'] }, ['52.95.4.0/24']],
  [
    'google',
    {
      syncToken: '1769904000123',
      prefixes: [
        { ipv4Prefix: '34.84.0.0/16', service: 'Google Cloud', scope: 'asia-northeast1' },
        { ipv6Prefix: '2600:1900:4050::/44', service: 'Google Cloud', scope: 'asia-northeast1' },
        { ipv4Prefix: '34.1.208.0/20', service: 'Google Cloud', scope: 'africa-south1' },
      ],
    },
    { region: ['asia-northeast1'] },
    ['34.84.0.0/16', '2600:1900:4050::/44'],
  ],
  ['google', { syncToken: '1', prefixes: [{ ipv4Prefix: '8.8.4.0/24' }] }, {}, ['8.8.4.0/24']],
  [
    'azure',
    {
      changeNumber: 331,
      cloud: 'Public',
      values: [
        {
          name: 'AzureCloud.japaneast',
          id: 'AzureCloud.japaneast',
          properties: {
            region: 'japaneast',
            systemService: '',
            addressPrefixes: ['4.189.0.0/16', '2603:1040:400::/46'],
          },
        },
        {
          name: 'Storage',
          id: 'Storage',
          properties: {
            region: '',
            systemService: 'AzureStorage',
            addressPrefixes: ['13.65.107.32/28'],
          },
        },
      ],
    },
    { service: ['AzureStorage', 'AzureCloud.japaneast'] },
    ['4.189.0.0/16', '2603:1040:400::/46', '13.65.107.32/28'],
  ],
  [
    'github',
    {
      verifiable_password_authentication: false,
      ssh_keys: ['ssh-ed25519 AAAA'],
      domains: { website: ['*.github.com'] },
      hooks: ['192.30.252.0/22', '2a0a:a440::/29'],
      actions: ['4.148.0.0/16'],
    },
    { service: ['hooks'] },
    ['192.30.252.0/22', '2a0a:a440::/29'],
  ],
  [
    'cloudflare',
    {
      result: { ipv4_cidrs: ['173.245.48.0/20'], ipv6_cidrs: ['2400:cb00::/32'], etag: 'x' },
      success: true,
      errors: [],
      messages: [],
    },
    {},
    ['173.245.48.0/20', '2400:cb00::/32'],
  ],
  [
    'fastly',
    { addresses: ['23.235.32.0/20'], ipv6_addresses: ['2a04:4e40::/32'] },
    {},
    ['23.235.32.0/20', '2a04:4e40::/32'],
  ],
  [
    'plain',
    '# ours\n198.51.100.7  # one\n\n198.51.100.9/24\n',
    {},
    ['198.51.100.7/32', '198.51.100.0/24'],
  ],
];

for (const [provider, content, filters, expected] of TABLE) {
  test(`the list of ${provider} with ${JSON.stringify(filters)}`, () => {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    const list = readList(provider, text);
    const found = filterList(list, { filters: { ...ANY, ...filters }, family: undefined });
    assert.deepEqual(
      found.map(({ text }) => text),
      expected,
    );
  });
}

test('an IPv6 network in capitals is the same network: comparing text would miss it', () => {
  const twice = readList('plain', '2001:DB8:0::/48\n2001:db8::/48\n');
  assert.equal(filterList(twice, { filters: ANY, family: 6 }).length, 1);
});

test('a list of the real size has each network once, though it names it under several services', () => {
  const list = readList('aws', ipRangesJson({ prefixes: 10_000 }));
  assert.equal(list.prefixes.length, 10_000);
  const networks = filterList(list, { filters: ANY, family: undefined });
  assert.equal(networks.length, new Set(list.prefixes.map(({ network }) => network.text)).size);
  assert.ok(networks.length <= 5_000);
  const ec2 = filterList(list, { filters: { ...ANY, service: ['EC2'] }, family: undefined });
  assert.ok(ec2.length > 100 && ec2.length < networks.length);
});

test('a family can be left out', () => {
  const list = readList('aws', JSON.stringify(AWS));
  assert.equal(filterList(list, { filters: ANY, family: 6 }).length, 1);
  assert.equal(filterList(list, { filters: ANY, family: 4 }).length, 3);
});

const REFUSED: readonly (readonly [string, RangesProvider, string, RegExp])[] = [
  ['cut off', 'aws', JSON.stringify(AWS).slice(0, -40), /cut off/],
  ['an error page', 'aws', '<html>', /no JSON/],
  ['another form', 'aws', '{"syncToken":"1","prefixes":[]}', /form at ipv6_prefixes/],
  ['empty', 'aws', '{"syncToken":"1","prefixes":[],"ipv6_prefixes":[]}', /no networks at all/],
  ['a network that lost its last digit', 'plain', '13.112.0.0/1\n', /broader than \/8/],
  ['the whole of IPv6', 'plain', '::/0\n', /broader than \/16/],
  [
    'something else among networks',
    'plain',
    '10.0.0.0/8\nexample.com\n',
    /"example.com" is not a network/,
  ],
  ['a line without end', 'plain', '10.0.0.0/8\n10.1', /cut off/],
  [
    'a failure in its own words',
    'cloudflare',
    '{"success":false,"result":null}',
    /form at success/,
  ],
  [
    'a stranger in a list of networks',
    'github',
    '{"hooks":["10.0.0.0/8","x"]}',
    /entry 1 of hooks/,
  ],
];

for (const [name, provider, text, message] of REFUSED) {
  test(`a list is refused: ${name}`, () => {
    assert.throws(() => readList(provider, text), { code: 'ranges-refused', message });
  });
}
