import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { address, at, network } from '../../test/support/policy.ts';
import type { IdentifyConfig, PrincipalConfig, SecretRef } from '../config/config.ts';
import type { Evidence } from '../core/conversation.ts';
import { Secret } from '../core/secret.ts';
import { compileIdentity, type Identification } from './identify.ts';

const literal = (value: string): SecretRef => ({ from: 'literal', value, at });

interface WrittenEntry {
  readonly header?: readonly [name: string, ...values: string[]];
  readonly basic?: readonly [username: string, password: string];
  readonly bearer?: string;
  readonly from?: readonly string[];
}

function entry({ header, basic, bearer, from }: WrittenEntry): IdentifyConfig {
  const [name = '', ...values] = header ?? [];
  return {
    ...(header && { header: { name, values: values.map(literal) } }),
    ...(basic && { basic: { username: basic[0], password: literal(basic[1]) } }),
    ...(bearer !== undefined && { bearer: { token: literal(bearer) } }),
    ...(from && { clientAddress: from.map(network) }),
    at,
  };
}

type World = Readonly<Record<string, readonly WrittenEntry[]>>;

function compileWorld(world: World) {
  const principals = Object.entries(world).map(
    ([name, entries]): PrincipalConfig => ({
      name,
      owner: `${name}@example.com`,
      report: false,
      identify: entries.map(entry),
      at,
    }),
  );
  return compileIdentity(principals, (ref) => {
    assert.equal(ref.from, 'literal');
    return new Secret('literal', ref.from === 'literal' ? ref.value : '');
  });
}

function evidence(lines: readonly string[], client = '192.0.2.1'): Evidence {
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    const value = Buffer.from(line.slice(colon + 2), 'utf8').toString('latin1');
    return [line.slice(0, colon).toLowerCase(), value] as const;
  });
  return {
    client: address(client),
    header: (name) => fields.filter(([key]) => key === name).map(([, value]) => value),
  };
}

function told(identification: Identification): string {
  if ('invalid' in identification) return 'invalid';
  const { principal } = identification;
  return principal === undefined ? 'anonymous' : `${principal.name} by ${principal.method}`;
}

function basic(text: string): string {
  return `Proxy-Authorization: Basic ${Buffer.from(text, 'utf8').toString('base64')}`;
}

type Row = readonly [what: string, lines: readonly string[], expected: string, client?: string];

function table(title: string, world: World, rows: readonly Row[]): void {
  describe(title, () => {
    const identifier = compileWorld(world);
    for (const [what, lines, expected, client] of rows) {
      it(what, () => {
        const first = told(identifier.identify(evidence(lines, client)));
        assert.equal(first, expected);
        assert.equal(told(identifier.identify(evidence(lines, client))), first, 'asked again');
      });
    }
  });
}

table(
  'a header',
  {
    fn: [{ header: ['X-Id', 'new', 'old'] }],
    other: [{ header: ['X-Id', 'other'] }],
    umlaut: [{ header: ['X-Id', 'schlüssel'] }],
  },
  [
    ['nothing', [], 'anonymous'],
    ['the value', ['X-Id: new'], 'fn by header'],
    ['the value that is on its way out', ['X-Id: old'], 'fn by header'],
    ['the name in other letters', ['x-iD: new'], 'fn by header'],
    ['another principal’s value', ['X-Id: other'], 'other by header'],
    ['a value beyond ASCII', ['X-Id: schlüssel'], 'umlaut by header'],
    ['the value in other letters', ['X-Id: NEW'], 'invalid'],
    ['the beginning of the value', ['X-Id: ne'], 'invalid'],
    ['the value and more', ['X-Id: new '], 'invalid'],
    ['an empty value', ['X-Id: '], 'invalid'],
    ['the value twice', ['X-Id: new', 'X-Id: new'], 'invalid'],
    ['a wrong and a right value', ['X-Id: wrong', 'X-Id: new'], 'invalid'],
    ['both values on one line', ['X-Id: new, old'], 'invalid'],
  ],
);

table(
  'basic',
  { legacy: [{ basic: ['legacy', 'pa:ss wörd'] }], empty: [{ basic: ['empty', 'x'] }] },
  [
    ['right', [basic('legacy:pa:ss wörd')], 'legacy by basic'],
    [
      'the scheme in other letters',
      [basic('legacy:pa:ss wörd').replace('Basic', 'bASIC')],
      'legacy by basic',
    ],
    [
      'several spaces',
      [basic('legacy:pa:ss wörd').replace('Basic ', 'Basic   ')],
      'legacy by basic',
    ],
    ['a wrong password', [basic('legacy:wrong')], 'invalid'],
    ['a wrong user', [basic('nobody:pa:ss wörd')], 'invalid'],
    ['without a colon', [basic('legacy')], 'invalid'],
    [
      'in latin1',
      [
        `Proxy-Authorization: Basic ${Buffer.from('legacy:pa:ss wörd', 'latin1').toString('base64')}`,
      ],
      'invalid',
    ],
    ['without padding', ['Proxy-Authorization: Basic ZW1wdHk6eA'], 'invalid'],
    ['with padding', ['Proxy-Authorization: Basic ZW1wdHk6eA=='], 'empty by basic'],
    ['with loose bits in the last letter', ['Proxy-Authorization: Basic ZW1wdHk6eB=='], 'invalid'],
    ['in the alphabet of URLs', ['Proxy-Authorization: Basic bGVn_2Fj'], 'invalid'],
    ['with a newline inside', [basic('empty:x\n')], 'invalid'],
    ['twice', [basic('empty:x'), basic('empty:x')], 'invalid'],
    ['no credentials', ['Proxy-Authorization: Basic'], 'invalid'],
    ['an empty field', ['Proxy-Authorization: '], 'invalid'],
    ['another scheme', ['Proxy-Authorization: Negotiate abc'], 'invalid'],
    ['a token where none is known', ['Proxy-Authorization: Bearer x'], 'invalid'],
    ['more than credentials', [`${basic('empty:x')} x`], 'invalid'],
  ],
);

table('bearer', { job: [{ bearer: 't0ken' }, { bearer: 'an0ther' }] }, [
  ['right', ['Proxy-Authorization: Bearer t0ken'], 'job by bearer'],
  ['by the other entry', ['Proxy-Authorization: Bearer an0ther'], 'job by bearer'],
  ['wrong', ['Proxy-Authorization: Bearer token'], 'invalid'],
  ['the token as a password', [basic('job:t0ken')], 'invalid'],
]);

table(
  'a client address',
  {
    inside: [{ from: ['10.0.0.0/8', '10.1.0.0/16', '2600::/32'] }],
    near: [{ from: ['10.2.0.0/16'] }],
  },
  [
    ['in a network', [], 'inside by clientAddress', '10.9.0.1'],
    ['in two networks of one principal', [], 'inside by clientAddress', '10.1.0.1'],
    ['in IPv6', [], 'inside by clientAddress', '2600::1'],
    ['in networks of two principals', [], 'invalid', '10.2.0.1'],
    ['elsewhere', [], 'anonymous', '192.0.2.1'],
    ['with credentials that are wrong', [basic('a:b')], 'invalid', '10.9.0.1'],
  ],
);

table(
  'several keys of one entry',
  {
    athena: [{ header: ['X-Id', 'athena'], from: ['10.0.0.0/16'] }],
    both: [{ header: ['X-Both', 'one'], basic: ['both', 'two'] }],
    spare: [
      { header: ['X-Spare', 's'], from: ['10.0.0.0/16'] },
      { header: ['X-Spare', 's'], from: ['10.1.0.0/16'] },
    ],
    here: [{ header: ['X-Same', 'same'], from: ['10.0.0.0/16'] }],
    there: [{ header: ['X-Same', 'same'], from: ['10.1.0.0/16'] }],
  },
  [
    ['all hold', ['X-Id: athena'], 'athena by header', '10.0.1.1'],
    ['the address does not', ['X-Id: athena'], 'invalid', '10.1.1.1'],
    ['the header is missing', [], 'anonymous', '10.0.1.1'],
    ['by its strongest key', ['X-Both: one', basic('both:two')], 'both by basic'],
    ['one alone', ['X-Both: one'], 'invalid'],
    ['the other alone', [basic('both:two')], 'invalid'],
    ['one right and one wrong', ['X-Both: one', basic('both:no')], 'invalid'],
    ['another entry for the same evidence', ['X-Spare: s'], 'spare by header', '10.1.1.1'],
    ['one value that means two by address', ['X-Same: same'], 'here by header', '10.0.1.1'],
    ['and the other', ['X-Same: same'], 'there by header', '10.1.1.1'],
    ['and nobody', ['X-Same: same'], 'invalid', '10.2.1.1'],
  ],
);

table(
  'several principals that fit',
  {
    certified: [{ bearer: 'b' }],
    known: [{ basic: ['known', 'k'] }],
    named: [{ header: ['X-Id', 'named'] }],
    other: [{ header: ['X-Other', 'other'] }],
    precise: [{ header: ['X-Other', 'other'], from: ['10.0.0.0/16'] }],
    near: [{ from: ['10.0.0.0/8'] }],
  },
  [
    [
      'bearer before header',
      ['Proxy-Authorization: Bearer b', 'X-Id: named'],
      'certified by bearer',
    ],
    ['basic before header', [basic('known:k'), 'X-Id: named'], 'known by basic'],
    ['header before address', ['X-Id: named'], 'named by header', '10.0.0.1'],
    ['two headers of two principals', ['X-Id: named', 'X-Other: other'], 'invalid'],
    ['more keys of one kind', ['X-Other: other'], 'precise by header', '10.0.0.1'],
    [
      'more keys of one kind, beside another principal',
      ['X-Id: named', 'X-Other: other'],
      'precise by header',
      '10.0.0.1',
    ],
    ['fewer keys elsewhere', ['X-Other: other'], 'other by header'],
    ['a strong one and a wrong one', ['Proxy-Authorization: Bearer b', 'X-Id: wrong'], 'invalid'],
    [
      'a right header and a wrong strong one',
      ['Proxy-Authorization: Bearer no', 'X-Id: named'],
      'invalid',
    ],
    [
      'a right header and a scheme that nobody knows',
      ['Proxy-Authorization: Digest a', 'X-Id: named'],
      'invalid',
    ],
  ],
);

describe('what listeners need to know', () => {
  it('names the headers to strip and the schemes to offer', () => {
    const identifier = compileWorld({
      a: [{ header: ['X-Id', 'v'] }],
      b: [{ header: ['x-ID', 'w'], basic: ['b', 'c'] }],
    });
    assert.deepEqual([...identifier.headerNames], ['x-id']);
    assert.deepEqual(identifier.schemes, ['Basic']);
  });
  it('offers nothing where nobody is known', () => {
    assert.deepEqual(compileWorld({}).schemes, []);
  });
  it('gives the owner along with the principal', () => {
    const found = compileWorld({ a: [{ bearer: 't' }] }).identify(
      evidence(['Proxy-Authorization: Bearer t']),
    );
    assert.deepEqual(found, { principal: { name: 'a', method: 'bearer', owner: 'a@example.com' } });
  });
  it('never repeats what was presented', () => {
    const identifier = compileWorld({
      a: [{ header: ['X-Id', 'v'], basic: ['u', 'p'] }],
      b: [{ bearer: 't' }],
    });
    for (const lines of [
      ['X-Id: s3cret'],
      [basic('s3cret:s3cret')],
      ['Proxy-Authorization: Bearer s3cret'],
      ['Proxy-Authorization: s3cret'],
    ]) {
      const found = identifier.identify(evidence(lines));
      assert.ok('invalid' in found);
      assert.doesNotMatch(found.invalid, /s3cret|czNjcmV0/i);
    }
  });
});

it('refuses an entry that would recognise everybody', () => {
  assert.throws(() => compileWorld({ all: [{}] }), TypeError);
});
