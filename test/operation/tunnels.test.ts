import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { RawClient, statusOf } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { ROOT } from '../support/sources.ts';
import { type RawUpstream, startRawUpstream } from '../support/upstreams.ts';

/** What a gateway knows of its tunnels while others pass their bytes. */

interface Scene {
  readonly gateway: TestGateway;
  readonly upstream: RawUpstream;
  /** Opens one more tunnel and passes a word through it. */
  tunnel(): Promise<{ client: RawClient; far: Socket }>;
}

async function scene(t: TestContext, more: { gateway?: string; limits?: string }): Promise<Scene> {
  const accepted: Socket[] = [];
  const upstream = await startRawUpstream((socket) => void accepted.push(socket));
  t.after(() => upstream.close());
  const limits = more.limits === undefined ? '' : `, limits: ${more.limits}`;
  const gateway = await startTestGateway(`
${more.gateway === undefined ? '' : `gateway: ${more.gateway}`}
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0"${limits} } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: raw, allow: [local], to: [raw.localhost], ports: [${upstream.port}], addresses: [127.0.0.1], tls: off }]
`);
  t.after(() => gateway.stop());
  return {
    gateway,
    upstream,
    async tunnel() {
      const client = new RawClient(gateway.port).send(connectTo(upstream));
      await client.until(/\r\n\r\n/);
      const far = accepted.at(-1) as Socket;
      far.write('greeting');
      await client.until(/greeting/);
      return { client, far };
    },
  };
}

function connectTo({ port }: RawUpstream): string {
  return `CONNECT raw.localhost:${port} HTTP/1.1\r\nHost: raw.localhost:${port}\r\n\r\n`;
}

test('a stop waits for the tunnels that are open, and what they still say arrives', async (t) => {
  const { gateway, upstream, tunnel } = await scene(t, { gateway: '{ drain: { limit: 1h } }' });
  const { client, far } = await tunnel();
  let stopped = false;
  const stopping = gateway.stop().then(() => {
    stopped = true;
  });
  client.send('late');
  await once(far, 'data');
  far.write(' answer');
  await client.until(/ answer/);
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(stopped, false);
  far.end();
  client.socket.end();
  await stopping;
  assert.equal(String(upstream.received.at(-1)), 'late');
  const { outcome } = await gateway.outcome();
  assert.deepEqual([outcome.error, outcome.bytesUp, outcome.bytesDown], [null, 4, 15]);
});

test('the tunnels that are open at drain.limit end then, and are on record', async (t) => {
  const { gateway, tunnel } = await scene(t, { gateway: '{ drain: { limit: 20ms } }' });
  const { client, far } = await tunnel();
  await Promise.all([gateway.stop(), client.all(), once(far.resume(), 'end')]);
  const { outcome } = await gateway.outcome();
  assert.deepEqual([outcome.error, outcome.bytesDown], ['client-reset', 8]);
});

test('a tunnel has its place among the limits until its end', async (t) => {
  const { gateway, upstream, tunnel } = await scene(t, { limits: '{ perClient: 1 }' });
  const { client, far } = await tunnel();
  await gateway.metric('sekisho_open_connections{listener="egress"}', 1);
  await gateway.metric('sekisho_open_tunnels', 1);
  const second = new RawClient(gateway.port).send(connectTo(upstream));
  assert.equal(statusOf(await second.all()), 429);
  far.end();
  client.socket.end();
  await gateway.outcome(({ outcome }) => outcome.status === 200);
  await tunnel().then((third) => third.client.close());
});

test('a worker that is killed takes its tunnels along', async (t) => {
  const upstream = await startRawUpstream((socket) => void socket.write('greeting'));
  t.after(() => upstream.close());
  const gateway = await startGatewayProcess(t, running(upstream));
  const client = new RawClient(gateway.port).send(connectTo(upstream));
  await client.until(/greeting/);
  const [worker] = (await gateway.status()).workers;
  process.kill(worker?.pid as number, 'SIGKILL');
  await client.all();
});

for (const value of ['off', 'on']) {
  const isNative = value === 'on' && existsSync(join(ROOT, 'native', 'tunnel.node'));
  test(`log, metrics and status say who passes bytes: SEKISHO_NATIVE=${value}`, async (t) => {
    const upstream = await startRawUpstream((socket) => void socket.end('greeting'));
    t.after(() => upstream.close());
    const env = { SEKISHO_NATIVE: value };
    const gateway = await startGatewayProcess(t, running(upstream), { env });
    const client = new RawClient(gateway.port).send(connectTo(upstream));
    await client.until(/greeting/);
    client.socket.end();
    await client.all();
    const told = isNative ? '{addon="built"} 1' : '{addon="none"} 0';
    const said = gateway.log.filter((line) => line.includes('no native part'));
    assert.equal(said.length, isNative ? 0 : 1);
    assert.ok((await gateway.metrics()).includes(`\nsekisho_native_tunnel${told}\n`));
    assert.equal((await gateway.status()).nativeTunnel, isNative ? 'built' : null);
  });
}

function running({ port }: RawUpstream): string {
  return `gateway: { workers: 1 }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: raw, allow: [local], to: [raw.localhost], ports: [${port}], addresses: [127.0.0.1], tls: off }]
`;
}
