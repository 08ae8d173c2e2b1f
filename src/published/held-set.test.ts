import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadText } from '../../test/support/config.ts';
import type { Config } from '../config/config.ts';
import type { PublishedSetConfig } from '../config/ranges-config.ts';
import { finish } from '../core/work.ts';
import { changesBetween } from './changes.ts';
import { closing, type HeldSet, holding, opening, standingOf } from './held-set.ts';

const DAY = 86_400_000;
const { config: EMPTY } = loadText(`
sets:
  kept: { ranges: { file: kept.txt, maxAge: 1d } }
  shut: { ranges: { file: shut.txt, maxAge: 1d, tooOld: close } }`);

function held(set: string, networks: readonly string[], seenMs: number): HeldSet {
  const source = EMPTY.sets.get(set)?.published as PublishedSetConfig;
  return { set, source, networks, list: { token: '7', seenMs, sha256: networks.join() } };
}

const FILLED = finish(
  holding(EMPTY, [held('kept', ['10.0.0.0/8'], 0), held('shut', ['11.0.0.0/8', '12.0.0.0/8'], 0)]),
);
const closedIn = ({ sets }: Config) => [...sets].filter(([, { closed }]) => closed).map(([n]) => n);

test('a list is too old from its age on, and closes the sets that say so alone', () => {
  const standings = (now: number) => [...FILLED.sets.values()].map((set) => standingOf(set, now));
  assert.deepEqual(standings(DAY), ['current', 'current']);
  assert.deepEqual(standings(DAY + 1), ['old', 'closed']);
  assert.deepEqual(closedIn(closing(FILLED, DAY)), []);
  const closed = closing(FILLED, DAY + 1);
  assert.deepEqual(closedIn(closed), ['shut']);
  assert.deepEqual(closedIn(opening(closed)), []);
});

test('a set that closes keeps what is known of it, and opens when its list is seen again', () => {
  const closed = closing(FILLED, DAY + 1);
  assert.equal(closed.sets.get('shut')?.entries.length, 2);
  const seen = finish(holding(closed, [held('shut', ['11.0.0.0/8', '12.0.0.0/8'], DAY)]));
  assert.deepEqual(closedIn(closing(seen, DAY + 1)), []);
});

test('what was found for another list than that of today is left out', () => {
  const { config } = loadText('sets: { kept: { ranges: { file: other.txt } } }');
  const filled = finish(holding(config, [held('kept', ['10.0.0.0/8'], 0)]));
  assert.equal(filled.sets.get('kept')?.list, undefined);
});

test('changes are told network by network, and closing as such', () => {
  const later = finish(holding(FILLED, [held('shut', ['12.0.0.0/8', '13.0.0.0/8'], 5)]));
  assert.deepEqual(finish(changesBetween(FILLED, later)), [
    {
      set: 'shut',
      closed: false,
      token: '7',
      sha256: '12.0.0.0/8,13.0.0.0/8',
      networks: 2,
      added: ['13.0.0.0/8'],
      removed: ['11.0.0.0/8'],
      counts: { added: 1, removed: 1 },
    },
  ]);
  const [closed] = finish(changesBetween(FILLED, closing(FILLED, DAY + 1)));
  assert.deepEqual([closed?.closed, closed?.counts], [true, { added: 0, removed: 0 }]);
  assert.deepEqual(finish(changesBetween(FILLED, FILLED)), []);
});
