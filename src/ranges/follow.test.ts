import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadText } from '../../test/support/config.ts';
import { ec2Ranges } from '../../test/support/ip-ranges.ts';
import { publish, startListServer, startTunnelProxy } from '../../test/support/list-server.ts';
import { ListFetcher } from './fetch/url.ts';
import { LastGoodCopies } from './last-good.ts';
import { readRangeSets } from './range-sets.ts';
import { RangesError } from './ranges-error.ts';

const TEN = Array.from({ length: 10 }, (_, i) => `13.${112 + i}.0.0/24`);
const EC2 = 'provider: aws, service: EC2, region: ap-northeast-1';

interface Given {
  readonly proxy?: string;
  readonly md5?: string;
  readonly shrink?: number;
  readonly set?: string;
}

/** A set that follows a server, and a way to read it again and again. */
async function follower(t: TestContext) {
  const server = await startListServer(t);
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-ranges-'));
  t.after(() => rm(dir, { recursive: true }));
  const waits: number[] = [];
  const around = {
    now: () => 1_769_904_000_000,
    random: () => 1,
    sleep: async (ms: number) => void waits.push(ms),
  };
  const read = async ({ proxy, md5, shrink = 0.2, set = EC2 }: Given = {}) => {
    const { config } = loadText(`sets: { s: { ranges: { ${set}, url: "${server.url}" } } }`);
    const fetch = { proxy, ca: server.ca, timeoutMs: 5000, retries: 3 };
    const fetcher = new ListFetcher(fetch, around);
    const options = {
      copies: new LastGoodCopies(dir),
      fetch: fetcher.fetch.bind(fetcher),
      shrink,
      announced: md5 === undefined ? undefined : { url: server.url, md5, token: 1769904001n },
      now: around.now,
      signal: new AbortController().signal,
    };
    const found = (await readRangeSets(config, ['s'], options)).get('s');
    await fetcher.close();
    assert.ok(found !== undefined);
    return found;
  };
  return { server, read, waits, dir };
}

type Found = Awaited<ReturnType<Awaited<ReturnType<typeof follower>>['read']>>;

function good(found: Found) {
  if (found instanceof RangesError) throw found;
  return found;
}

test('a set has what its list publishes, and its last good copy when there is no list', async (t) => {
  const { server, read, waits } = await follower(t);
  server.answer = publish(ec2Ranges(TEN));
  const first = good(await read());
  assert.deepEqual(
    first.published.map(({ text }) => text),
    TEN,
  );
  assert.equal(first.token, 1769904000n);
  server.answer = (_request, response) => response.writeHead(503).end();
  const second = good(await read());
  assert.equal(second.published.length, 10);
  assert.equal(second.problem?.code, 'ranges-unavailable');
  assert.match(second.problem?.message ?? '', /it answers 503/);
  assert.deepEqual(waits, [500, 1000, 2000]);
});

test('without a list and without a copy there is no set', async (t) => {
  const { server, read } = await follower(t);
  server.answer = (_request, response) => response.writeHead(404).end();
  const found = await read();
  assert.ok(found instanceof RangesError);
  assert.match(found.message, /it answers 404/);
  assert.equal(server.requests.length, 1);
});

test('what passes is tried again', async (t) => {
  const { server, read } = await follower(t);
  server.answer = (request, response) => {
    if (server.requests.length < 3) return void response.writeHead(503).end();
    publish(ec2Ranges(TEN))(request, response);
  };
  assert.equal(good(await read()).problem, undefined);
});

for (const [name, text, told] of [
  ['empty', ec2Ranges([]), /no networks at all; the last good one had 10 networks/],
  ['truncated', ec2Ranges(TEN).slice(0, 500), /cut off; the last good one had 10 networks/],
  [
    'shrunken by more than a fifth',
    ec2Ranges(TEN.slice(0, 7)),
    /has 7 networks, where the last good one had 10/,
  ],
  [
    'of as many networks, in which fewer addresses lie',
    ec2Ranges(TEN.map((network) => network.replace(/\/\d+$/, '/28'))),
    /has 160 IPv4 addresses, where the last good one had 2,560/,
  ],
  ['of a version before', ec2Ranges(TEN, '1769903999'), /version 1769903999, before 1769904000/],
] as const) {
  test(`a list that is ${name} is refused, and the last good copy stands`, async (t) => {
    const { server, read } = await follower(t);
    server.answer = publish(ec2Ranges(TEN));
    await read();
    server.answer = publish(text);
    const found = good(await read());
    assert.equal(found.published.length, 10);
    assert.equal(found.problem?.code, 'ranges-refused');
    assert.match(found.problem?.message ?? '', told);
  });
}

test('a list that shrank by a fifth is taken, and by more when that is accepted', async (t) => {
  const { server, read } = await follower(t);
  server.answer = publish(ec2Ranges(TEN));
  await read();
  server.answer = publish(ec2Ranges(TEN.slice(0, 8)));
  assert.equal(good(await read()).published.length, 8);
  server.answer = publish(ec2Ranges(TEN.slice(0, 2)));
  assert.equal(good(await read()).published.length, 8);
  assert.equal(good(await read({ shrink: 1 })).published.length, 2);
  assert.equal(good(await read()).published.length, 2);
});

test('a list that holds its size and loses one region is refused for the set of that region', async (t) => {
  const { server, read } = await follower(t);
  server.answer = publish(ec2Ranges(TEN));
  await read();
  server.answer = publish(ec2Ranges(TEN).replaceAll('"ap-northeast-1"', '"us-east-1"'));
  const found = good(await read());
  assert.match(
    found.problem?.message ?? '',
    /0 networks for EC2, ap-northeast-1, where the last good one had 10/,
  );
});

test('a list that did not change is not sent again', async (t) => {
  const { server, read } = await follower(t);
  server.answer = publish(ec2Ranges(TEN), { etag: '"v1"' });
  await read();
  const found = good(await read());
  assert.equal(found.problem, undefined);
  assert.equal(found.published.length, 10);
  assert.deepEqual(
    server.requests.map(({ headers }) => headers['if-none-match']),
    [undefined, '"v1"'],
  );
});

test('a body whose md5 is not the announced one is a stale cache: it is fetched again', async (t) => {
  const { server, read, waits } = await follower(t);
  const announced = ec2Ranges(TEN, '1769904001');
  server.answer = (request, response) => {
    publish(server.requests.length < 3 ? ec2Ranges(TEN) : announced)(request, response);
  };
  const md5 = createHash('md5').update(announced).digest('hex');
  assert.equal(good(await read({ md5 })).token, 1769904001n);
  assert.equal(waits.length, 2);
});

test('a list that is newer than the announced one is taken, whatever its md5', async (t) => {
  const { server, read, waits } = await follower(t);
  server.answer = publish(ec2Ranges(TEN, '1769904002'));
  assert.equal(good(await read({ md5: '0'.repeat(32) })).token, 1769904002n);
  server.answer = publish(ec2Ranges(TEN.slice(0, 9), '1769904001'));
  assert.equal(good(await read({ md5: '0'.repeat(32) })).problem?.code, 'ranges-unavailable');
  assert.equal(waits.length, 3);
});

test('a body that is not the one of its Content-MD5 is refused', async (t) => {
  const { server, read } = await follower(t);
  server.answer = publish(ec2Ranges(TEN), { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' });
  const found = await read();
  assert.ok(found instanceof RangesError);
  assert.match(found.message, /md5 is not that of Content-MD5/);
});

test('a connection that ends within the body gives no list', async (t) => {
  const { server, read } = await follower(t);
  server.answer = (_request, response) => {
    const text = ec2Ranges(TEN);
    response.writeHead(200, { 'content-length': text.length });
    response.write(text.slice(0, 300), () => response.socket?.destroy());
  };
  assert.ok((await read()) instanceof RangesError);
});

test('a body that only ends with its connection may have been cut off: it is refused', async (t) => {
  const { server, read } = await follower(t);
  server.answer = (_request, response) => {
    response.socket?.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n13.0.0.0/8\n`);
  };
  const found = await read();
  assert.ok(found instanceof RangesError);
  assert.match(found.message, /does not say how long/);
});

test('a server with another certificate is not believed, nor a redirect to http:', async (t) => {
  const { server, read } = await follower(t);
  server.answer = (_request, response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:1/list' }).end();
  };
  const redirected = await read();
  assert.ok(redirected instanceof RangesError);
  assert.match(redirected.message, /which is not https:/);
  const fetcher = new ListFetcher(
    { proxy: undefined, ca: undefined, timeoutMs: 5000, retries: 0 },
    { now: Date.now, random: Math.random, sleep: async () => undefined },
  );
  t.after(() => fetcher.close());
  await assert.rejects(fetcher.fetch({ url: server.url }, new AbortController().signal), {
    code: 'ranges-unavailable',
    message: /certificate/,
  });
});

test('lists are fetched through a proxy, by CONNECT', async (t) => {
  const { server, read } = await follower(t);
  const proxy = await startTunnelProxy(t);
  server.answer = publish(ec2Ranges(TEN));
  assert.equal(good(await read({ proxy: proxy.url })).published.length, 10);
  assert.deepEqual(proxy.led, [new URL(server.url).host]);
});

test('a filter that nothing passes is told, with what there is', async (t) => {
  const { server, read } = await follower(t);
  server.answer = publish(ec2Ranges(TEN));
  const found = await read({ set: 'provider: aws, service: EC3' });
  assert.ok(found instanceof RangesError);
  assert.match(found.message, /no service "EC3", but EC2/);
});

test('a copy that was damaged on disk counts as none', async (t) => {
  const { server, read, dir } = await follower(t);
  server.answer = publish(ec2Ranges(TEN), { etag: '"v1"' });
  await read();
  const [file] = await readdir(dir);
  await writeFile(join(dir, file as string), '{"place":"x"');
  assert.equal(good(await read()).problem, undefined);
  assert.equal(server.requests.at(-1)?.headers['if-none-match'], undefined);
});

test('a list can be a file, and sets can list networks themselves', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-ranges-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'office');
  await writeFile(path, '198.51.100.0/25\n198.51.100.128/25\n');
  const { config } = loadText(
    `sets: { a: { ranges: { file: "${path}" } }, b: { addresses: [192.0.2.0/24, 192.0.2.7] } }`,
  );
  const sets = await readRangeSets(config, ['a', 'b'], {
    copies: new LastGoodCopies(dir),
    fetch: () => assert.fail('nothing is fetched'),
    shrink: 0.2,
    now: Date.now,
    signal: new AbortController().signal,
  });
  const [a, b] = ['a', 'b'].map((name) => good(sets.get(name) as Found));
  assert.deepEqual([a?.published.length, a?.networks.map(String)], [2, ['198.51.100.0/24']]);
  assert.deepEqual(b?.networks.map(String), ['192.0.2.0/24']);
});
