import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { type ListServer, publish, startListServer } from '../support/list-server.ts';
import { startHttpUpstream, startRawUpstream } from '../support/upstreams.ts';

const OTHERS = Array.from({ length: 10 }, (_, i) => `198.51.${2 * i}.0/24`);
const isDown: ListServer['answer'] = (_request, response) => response.destroy();

function list(...more: string[]): ListServer['answer'] {
  return publish(`${[...OTHERS, ...more].join('\n')}\n`);
}

/** A publisher of two lists, and what both lead to. */
async function surroundings(t: TestContext) {
  const server = await startListServer(t);
  const upstream = await startHttpUpstream();
  const echo = await startRawUpstream((socket) => socket.pipe(socket));
  t.after(async () => {
    await upstream.close();
    await echo.close();
  });
  const published = { saas: list(), office: list('127.0.0.1'), fresh: isDown };
  server.answer = (request, response) => {
    const name = request.url?.split('/').at(-1);
    published[name === 'saas' || name === 'office' ? name : 'fresh'](request, response);
  };
  return { server, published, upstream, echo };
}

type Around = Awaited<ReturnType<typeof surroundings>>;

/** Two workers; a set in which destinations lie, and one whose clients are a principal, and which closes. */
function yamlOf({ server, upstream, echo }: Around): string {
  return `
gateway: { workers: 2 }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  app: { identify: [{ header: { name: X-Id, value: { literal: one } } }] }
  near: { identify: [{ clientAddress: [office] }] }
sets:
  saas: { ranges: { url: "${server.url}/saas", maxAge: 1h } }
  office: { ranges: { url: "${server.url}/office", maxAge: 1h, tooOld: close } }
rules:
  - { name: saas, allow: [app], to: [saas], ports: [${upstream.port}, ${echo.port}], addresses: [127.0.0.1], tls: off }
  - { name: near, allow: [near], to: [near.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }
  - { name: wide, allow: [app], to: [saas], ports: [1] }
expect: [{ principal: app, to: "8.8.8.8:1", decision: deny }]
ranges:
  fetch: { ca: { file: ca.pem }, timeout: 2s, retries: 0 }
  refresh: { every: 100ms, jitter: 0ms }
`;
}

async function start(t: TestContext, around: Around, dir?: string) {
  const { server, upstream, echo } = around;
  const files = { 'ca.pem': server.ca };
  const gateway = await startGatewayProcess(t, yamlOf(around), { files, ...(dir && { dir }) });
  const ask = async (host: string, headers: string) => {
    const authority = `${host}:${upstream.port}`;
    const client = new RawClient(gateway.port);
    client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${headers}\r\n`);
    const status = statusOf(await client.until(/\r\n\r\n/));
    client.close();
    return status;
  };
  /** Over as many connections as reach both workers. */
  const asked = async (host: string, headers = '') => {
    const all = await Promise.all(Array.from({ length: 12 }, () => ask(host, headers)));
    return [...new Set(all)];
  };
  return {
    gateway,
    app: () => asked('127.0.0.1', 'X-Id: one\r\n'),
    near: () => asked('near.localhost'),
    async edit(change: (text: string) => string) {
      await writeFile(gateway.file, change(await readFile(gateway.file, 'utf8')));
    },
    /** A line of the log from now on. */
    next: (fits: RegExp) => gateway.logged(fits, gateway.log.length),
    async tunnel() {
      const authority = `127.0.0.1:${echo.port}`;
      const client = new RawClient(gateway.port);
      client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Id: one\r\n\r\n`);
      assert.equal(statusOf(await client.until(/\r\n\r\n/)), 200);
      await client.send('passes').until(/passes/);
      return client;
    },
  };
}

test('a gateway follows the lists of its rules and principals without a restart', async (t) => {
  const around = await surroundings(t);
  const { published } = around;
  const { gateway, app, near, next, tunnel, edit } = await start(t, around);

  await t.test('what they hold at first is in force and on record', async () => {
    assert.deepEqual([await app(), await near()], [[403], [200]]);
    const page = await gateway.page('/v1/audit/tail?n=1&types=refresh');
    const { sets } = JSON.parse(page.trim());
    const told = sets.map((one: { set: string; counts: object }) => [one.set, one.counts]);
    assert.deepEqual(told, [
      ['saas', { added: 10, removed: 0 }],
      ['office', { added: 11, removed: 0 }],
    ]);
  });

  await t.test('what comes to a list holds from then on, on every worker', async () => {
    const told = next(/"set":"saas".*a set holds what its list has now/);
    published.saas = list('127.0.0.1');
    await told;
    assert.deepEqual(await app(), [200]);
    const { lists, policy } = await gateway.status();
    assert.deepEqual(
      lists.map(({ set, standing, networks, problem }) => [set, standing, networks, problem]),
      [
        ['saas', 'current', 11, null],
        ['office', 'current', 11, null],
      ],
    );
    assert.match(await gateway.metrics(), /sekisho_ranges_set_refreshes_total\{set="saas"\} 1/);
    const tail = await gateway.page('/v1/audit/tail?n=1&types=refresh');
    const event = JSON.parse(tail.trim());
    assert.deepEqual([event.policy, event.sets[0].added], [policy, ['127.0.0.1']]);
  });

  await t.test('a list that shrank is refused, and what was there stays', async () => {
    const told = next(/"sets":\["saas"\].*it has 1 networks, where the last good one had 11/);
    published.saas = publish('198.51.0.0/24\n');
    await told;
    assert.deepEqual(await app(), [200]);
    const { lists } = await gateway.status();
    assert.match(lists.find(({ set }) => set === 'saas')?.problem ?? '', /1 networks/);
  });

  await t.test('one that breaks what is expected is refused, and the log says what', async () => {
    const told = next(/"sets":\["saas"\].*8\.8\.8\.8:1.*where deny is expected/);
    published.saas = list('127.0.0.1', '8.8.8.8');
    await told;
    assert.deepEqual(await app(), [200]);
  });

  await t.test('what leaves a list is refused from then on, and its tunnels end', async () => {
    const client = await tunnel();
    published.saas = list();
    await client.all();
    assert.deepEqual(await app(), [403]);
  });

  await t.test('too old, a set closes where it is to, and opens again by itself', async () => {
    published.saas = isDown;
    published.office = isDown;
    const told = next(/"set":"office".*"standing":"closed"/);
    await edit((text) => text.replace('maxAge: 1h, tooOld', 'maxAge: 4s, tooOld'));
    await told;
    assert.deepEqual([await app(), await near()], [[403], [503]]);
    assert.match(await gateway.metrics(), /sekisho_ranges_set_closed\{set="office"\} 1/);
    const again = next(/"set":"office".*is current again/);
    published.office = list('127.0.0.1');
    await again;
    // On a slow machine the next look may take longer than that.
    while ((await near()).includes(503)) assert.match(await gateway.metrics(), /set_closed/);
    assert.deepEqual(await near(), [200]);
    await edit((text) => text.replace('maxAge: 4s', 'maxAge: 1h'));
  });

  await t.test('a reload waits for a list that is new, and is refused without it', async () => {
    const { server, upstream } = around;
    const fresh = `fresh: { ranges: { url: "${server.url}/fresh" } }`;
    const rule = `{ name: fresh, allow: [app], to: [fresh], ports: [${upstream.port}], addresses: [127.0.0.1], tls: off }`;
    const refused = next(/nothing is known of what the set fresh holds.*reload refused/);
    await edit((text) =>
      text
        .replace('\nsets:\n', `\nsets:\n  ${fresh}\n`)
        .replace('\nrules:\n', `\nrules:\n  - ${rule}\n`),
    );
    await refused;
    assert.deepEqual(await app(), [403]);
    around.published.fresh = list('127.0.0.1');
    const reloaded = next(/"msg":"reloaded"/);
    gateway.child.kill('SIGHUP');
    await reloaded;
    assert.deepEqual(await app(), [200]);
  });
});

test('a gateway starts by the copies of the one before while no publisher answers', async (t) => {
  const around = await surroundings(t);
  const { published } = around;
  published.saas = list('127.0.0.1');
  const first = await start(t, around);
  assert.deepEqual(await first.app(), [200]);
  first.gateway.child.kill('SIGINT');
  await first.gateway.exited;
  const stoppedMs = Date.now();
  published.saas = isDown;
  published.office = isDown;
  const second = await start(t, around, first.gateway.dir);
  assert.deepEqual(await second.app(), [200]);
  await second.next(/sets stay as they are/);
  const { lists } = await second.gateway.status();
  assert.equal(lists.length, 2);
  for (const { seenAt } of lists) assert.ok(Date.parse(seenAt ?? '') <= stoppedMs);
});
