import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadText } from '../../test/support/config.ts';
import { address, publishedSet } from '../../test/support/policy.ts';
import { PublishedNetworks } from '../core/networks.ts';
import { Secret } from '../core/secret.ts';
import { finish } from '../core/work.ts';
import { compileIdentity } from './identify.ts';

const YAML = `
sets: { office: { ranges: { file: office.txt } } }
principals:
  near: { identify: [{ clientAddress: [office, 10.0.0.7] }] }
  app: { identify: [{ header: { name: X-Id, value: { literal: app } }, clientAddress: [office] }] }
  free: { identify: [{ header: { name: X-Id, value: { literal: free } } }] }
  twice:
    identify:
      - { header: { name: X-Two, value: { literal: two } }, clientAddress: [office] }
      - { basic: { username: two, password: { literal: two } } }
`;

function identifierWith(closed: boolean) {
  const sets = new Map([['office', publishedSet(['198.51.100.0/24'], closed)]]);
  return compileIdentity(
    loadText(YAML).config.principals,
    (ref) => new Secret('literal', ref.from === 'literal' ? ref.value : ''),
    finish(PublishedNetworks.making(sets)),
  );
}

const BASIC = `Basic ${Buffer.from('two:two').toString('base64')}`;
const OPEN = identifierWith(false);
const CLOSED = identifierWith(true);

const ROWS: readonly {
  readonly client: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly open: string;
  readonly closed: string;
}[] = [
  { client: '198.51.100.1', open: 'near', closed: 'list-outdated' },
  { client: '203.0.113.1', open: 'anonymous', closed: 'anonymous' },
  { client: '10.0.0.7', open: 'near', closed: 'near' },
  { client: '198.51.100.1', headers: { 'x-id': 'app' }, open: 'app', closed: 'list-outdated' },
  {
    client: '203.0.113.1',
    headers: { 'x-id': 'app' },
    open: 'identity-invalid',
    closed: 'identity-invalid',
  },
  { client: '198.51.100.1', headers: { 'x-id': 'free' }, open: 'free', closed: 'free' },
  { client: '198.51.100.1', headers: { 'x-two': 'two' }, open: 'twice', closed: 'list-outdated' },
  {
    client: '198.51.100.1',
    headers: { 'x-two': 'two', 'proxy-authorization': BASIC },
    open: 'twice',
    closed: 'twice',
  },
];

describe('principals whose clients are in a set that follows a list', () => {
  for (const { client, headers = {}, open, closed } of ROWS) {
    const shown = Object.keys(headers).join(' and ') || 'nothing';
    it(`${client} with ${shown} is ${open}, and ${closed} once the list is too old`, () => {
      const evidence = {
        client: address(client),
        header: (name: string) => [headers[name] ?? []].flat(),
      };
      const told = (identifier: typeof OPEN) => {
        const found = identifier.identify(evidence);
        return 'invalid' in found ? found.reason : (found.principal?.name ?? 'anonymous');
      };
      assert.deepEqual([told(OPEN), told(CLOSED)], [open, closed]);
    });
  }
});
