import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { publish, startListServer } from '../../test/support/list-server.ts';
import { load } from '../config/load.ts';
import type { RangesError } from '../ranges/ranges-error.ts';
import { completeLists, recallLists } from './complete.ts';
import { findListWarnings } from './warnings.ts';

/** A configuration whose principal comes from a published list, and that list's publisher. */
async function world(t: TestContext) {
  const server = await startListServer(t);
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-complete-'));
  t.after(() => rm(dir, { recursive: true }));
  const file = join(dir, 'sekisho.yaml');
  await writeFile(join(dir, 'ca.pem'), server.ca);
  await writeFile(
    file,
    `version: 1
sets:
  office: { ranges: { url: "${server.url}/office" } }
  unused: { ranges: { url: "${server.url}/unused" } }
principals: { near: { identify: [{ clientAddress: [office] }] } }
rules: [{ name: r, allow: [near], to: [a.example] }]
ranges: { fetch: { ca: { file: ca.pem }, retries: 0 } }
`,
  );
  const { config } = load(file, { env: {} });
  return { server, config };
}

const networksOf = ({ sets }: Awaited<ReturnType<typeof recallLists>>) =>
  sets.get('office')?.entries.map((entry) => entry.kind === 'network' && String(entry.cidr));

test('without a copy a list is fetched once, and by its copy it is known from then on', async (t) => {
  const { server, config } = await world(t);
  server.answer = publish('198.51.100.0/25\n198.51.100.128/25\n');
  assert.deepEqual(networksOf(await completeLists(config)), ['198.51.100.0/24']);
  server.answer = (_request, response) => response.destroy();
  const again = await completeLists(config);
  assert.deepEqual(networksOf(again), ['198.51.100.0/24']);
  assert.deepEqual(
    server.requests.map(({ url }) => url),
    ['/list/office'],
  );
});

test('without a copy and without a publisher nothing starts, and the error names the remedy', async (t) => {
  const { server, config } = await world(t);
  server.answer = (_request, response) => response.destroy();
  await assert.rejects(completeLists(config), (error: RangesError) => {
    assert.equal(error.code, 'ranges-unavailable');
    assert.match(
      error.message,
      /set office holds: .*cannot be fetched.*sekisho ranges show office/,
    );
    return true;
  });
});

test('a look at a policy fetches nothing, and says which copies are missing or too old', async (t) => {
  const { server, config } = await world(t);
  const warnings = async (now: number) =>
    findListWarnings(await recallLists(config), now).map(({ message }) => message);
  const now = Date.now();
  assert.deepEqual(await warnings(now), [
    'there is no copy of the list of the set "office": here it holds nothing',
  ]);
  assert.equal(server.requests.length, 0);
  server.answer = publish('198.51.100.0/24\n');
  await completeLists(config);
  assert.deepEqual(await warnings(now), []);
  const [old] = await warnings(now + 2 * 86_400_000);
  assert.match(old ?? '', /the set "office" is too old: it was last seen 20/);
});
