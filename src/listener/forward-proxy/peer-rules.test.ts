import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadText } from '../../../test/support/config.ts';
import { address, publishedSet } from '../../../test/support/policy.ts';
import type { ListenerConfig } from '../../config/config.ts';
import { PublishedNetworks } from '../../core/networks.ts';
import { finish } from '../../core/work.ts';
import { PeerRules } from './peer-rules.ts';

function rulesOf(keys: string, closed: boolean): PeerRules {
  const { config } = loadText(`
sets: { office: { ranges: { file: office.txt } } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", ${keys} } }`);
  const sets = new Map([['office', publishedSet(['198.51.100.0/24'], closed)]]);
  const [listener] = config.listeners as [ListenerConfig];
  return new PeerRules(listener, finish(PublishedNetworks.making(sets)));
}

const ROWS: readonly [keys: string, peer: string, open: string, closed: string][] = [
  ['from: [office]', '198.51.100.1', 'client', 'refused'],
  ['from: [office]', '203.0.113.1', 'refused', 'refused'],
  ['from: [office, 198.51.100.1]', '198.51.100.1', 'client', 'client'],
  // Neither believed, nor taken for a client that speaks for itself.
  ['proxyProtocol: { from: [office] }', '198.51.100.1', 'balancer', 'refused'],
  ['proxyProtocol: { from: [office] }', '203.0.113.1', 'client', 'client'],
];

for (const [keys, peer, open, closed] of ROWS) {
  test(`${keys}: ${peer} is ${open}, and ${closed} once the list is too old`, () => {
    assert.equal(rulesOf(keys, false).standingOf(address(peer)), open);
    assert.equal(rulesOf(keys, true).standingOf(address(peer)), closed);
  });
}
