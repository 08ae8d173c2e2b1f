import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { Ip } from '../core/ip.ts';
import { createOwnAddresses, type OwnAddresses } from './own-addresses.ts';

const INTERFACES = {
  lo: [{ address: '127.0.0.1' }, { address: '::1' }],
  eth0: [{ address: '10.0.1.5' }, { address: '2001:db8::5' }, { address: 'fe80::5' }],
};

function ip(text: string): Ip {
  return Ip.parse(text) as Ip;
}

/** @param listeners as `ADDRESS PORT` */
function own(...listeners: string[]): OwnAddresses {
  const bound = listeners.map((text) => {
    const [address = '', port] = text.split(' ');
    return { ip: ip(address), port: Number(port) };
  });
  return createOwnAddresses({ listeners: () => bound, interfaces: () => INTERFACES });
}

for (const [text, expected] of Object.entries({
  '10.0.1.5': true,
  '2001:db8::5': true,
  'fe80::5': true,
  '127.0.0.1': true,
  '127.9.9.9': true,
  '::1': true,
  '0.0.0.0': true,
  '::': true,
  '::ffff:10.0.1.5': true,
  '64:ff9b::10.0.1.5': true,
  '2002:0a00:0105::': true,
  '10.0.1.6': false,
  '2001:db8::6': false,
  '64:ff9b::10.0.1.6': false,
})) {
  test(`${text} is ${expected ? '' : 'not '}this host`, () => {
    assert.equal(own().isOwn(ip(text)), expected);
  });
}

test('the addresses of the system are asked for when none are handed in', () => {
  const { isOwn } = createOwnAddresses({ listeners: () => [] });
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  assert.ok(all.length > 0);
  for (const { address } of all) assert.ok(isOwn(ip(address)), address);
});

for (const [listener, dialled, expected] of [
  ['10.0.1.5 3128', '10.0.1.5 3128', true],
  ['10.0.1.5 3128', '10.0.1.5 3129', false],
  ['10.0.1.5 3128', '127.0.0.1 3128', false],
  ['10.0.1.5 3128', '64:ff9b::10.0.1.5 3128', true],
  ['127.0.0.1 3128', '0.0.0.0 3128', true],
  ['::1 3128', ':: 3128', true],
  ['127.0.0.1 3128', '127.0.0.2 3128', false],
  ['0.0.0.0 3128', '10.0.1.5 3128', true],
  ['0.0.0.0 3128', '127.0.0.2 3128', true],
  ['0.0.0.0 3128', '0.0.0.0 3128', true],
  ['0.0.0.0 3128', '2002:0a00:0105:: 3128', true],
  ['0.0.0.0 3128', '10.0.1.6 3128', false],
  ['0.0.0.0 3128', '2001:db8::5 3128', false],
  [':: 3128', '2001:db8::5 3128', true],
  [':: 3128', '10.0.1.5 3128', true],
  [':: 3128', '127.0.0.1 3128', true],
  [':: 3128', ':: 3128', true],
  [':: 3128', '10.0.1.6 3128', false],
  [':: 3128', '10.0.1.5 443', false],
] as const) {
  test(`a listener on ${listener} ${expected ? 'is' : 'is not'} reached by ${dialled}`, () => {
    const [address = '', port] = dialled.split(' ');
    assert.equal(own(listener).isListener(ip(address), Number(port)), expected);
  });
}

test('an address that comes later is known after a few seconds, without asking each time', () => {
  let now = 0;
  let asked = 0;
  const addresses: { address: string }[] = [];
  const { isOwn } = createOwnAddresses({
    listeners: () => [],
    interfaces: () => {
      asked++;
      return { eth0: addresses };
    },
    now: () => now,
  });
  assert.equal(isOwn(ip('10.0.1.7')), false);
  addresses.push({ address: '10.0.1.7' });
  now = 2_999;
  isOwn(ip('10.0.1.7'));
  assert.equal(asked, 1);
  now = 3_000;
  assert.equal(isOwn(ip('10.0.1.7')), true);
});
