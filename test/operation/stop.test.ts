import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { startDns } from '../support/dns-server.ts';
import { startTestGateway } from '../support/gateway.ts';
import { startHttpUpstream } from '../support/upstreams.ts';

test('a stop waits for the record of an exchange whose client is gone and whose name is still looked up', async (t) => {
  const dns = await startDns({
    'slow.example': { A: ['127.0.0.1'], delayMs: { A: 300, AAAA: 300 } },
  });
  t.after(() => dns.close());
  const gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"], drain: { limit: 1s } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: slow, allow: [local], to: [slow.example], ports: [80], addresses: [127.0.0.1] }]
`);
  const client = new RawClient(gateway.port).send(
    'GET http://slow.example/ HTTP/1.1\r\nHost: slow.example\r\n\r\n',
  );
  while (dns.queries.length === 0) await new Promise((turn) => setImmediate(turn));
  client.socket.resetAndDestroy();
  await gateway.stop();
  assert.deepEqual(
    gateway.events.map(({ type }) => type),
    ['decision', 'outcome'],
  );
  assert.doesNotMatch(gateway.log(), /fault|closed/);
});

test('a stop ends idle connections at once and lets the request that is under way finish', async (t) => {
  const answer = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const upstream = await startHttpUpstream((seen, response) => {
    if (seen.url === '/quick') return void response.end('quick');
    asked.resolve();
    answer.promise.then(() => response.end('done'));
  });
  t.after(() => upstream.close());
  const gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`);
  const authority = `api.localhost:${upstream.port}`;
  const get = (path: string) =>
    `GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
  const idle = new RawClient(gateway.port).send(get('/quick'));
  await idle.until(/quick$/);
  const busy = new RawClient(gateway.port).send(get('/slow'));
  await asked.promise;
  const stopped = gateway.stop();
  await idle.all();
  answer.resolve();
  assert.match(await busy.all(), / 200 OK[\s\S]*done$/);
  await stopped;
});

test('during the notice every answer says that it is the last one of its connection', async (t) => {
  const upstream = await startHttpUpstream();
  t.after(() => upstream.close());
  const gateway = await startTestGateway(`
gateway: { drain: { notice: 1s } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`);
  const get = (host: string) => `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const asks = [`api.localhost:${upstream.port}`, 'refused.localhost', 'sekisho.internal'].map(get);
  const kept = asks.map((ask) => new RawClient(gateway.port).send(ask));
  for (const client of kept) {
    const head = await client.until(/\r\n\r\n/);
    assert.doesNotMatch(head, /^Connection: close/im);
  }
  const stopped = gateway.gateway.stop();
  for (const [i, client] of kept.entries()) {
    client.send(asks[i] as string);
    const [, last] = (await client.all()).split('HTTP/1.1 ').slice(1);
    assert.match(last as string, /^Connection: close\r$/im);
  }
  await stopped;
  await gateway.stop();
});
