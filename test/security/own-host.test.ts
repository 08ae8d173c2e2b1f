import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { type DnsServer, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { behind, head, verdictOf } from '../support/ways.ts';

const WHOAMI = 'http://sekisho.internal/v1/whoami';
const HOST = 'sekisho.internal';
const ALICE = 'X-Alice: alice-secret';

let dns: DnsServer;
let gateway: TestGateway;

before(async () => {
  dns = await startDns();
  gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  alice: { identify: [{ header: { name: X-Alice, value: { literal: alice-secret } } }] }
rules: [{ name: all, allow: ["*", anonymous], to: ["*"] }]
`);
});

after(async () => {
  await gateway.stop();
  await dns.close();
});

/** The answer to one request, or to the one inside a tunnel to the gateway itself. */
async function askOwn(inside: boolean, path: string, ...headers: string[]): Promise<string> {
  const client = new RawClient(gateway.port);
  try {
    if (!inside) {
      client.send(head('GET', `http://${HOST}${path}`, HOST, headers));
      return await client.until(/\r\n\r\n./s);
    }
    client.send(head('CONNECT', `${HOST}:80`, `${HOST}:80`, headers));
    assert.equal(verdictOf(await client.until(/\r\n\r\n/)), '200');
    client.send(head('GET', path, HOST, []));
    return behind(await client.until({ test: (text) => /\r\n\r\n./s.test(behind(text)) }));
  } finally {
    client.close();
  }
}

for (const inside of [false, true]) {
  const way = inside ? 'inside a CONNECT' : 'in absolute form';

  test(`the gateway's own pages know a valid identity and none at all, ${way}`, async () => {
    const before = gateway.events.length;
    const known = await askOwn(inside, '/v1/whoami', ALICE);
    assert.equal(JSON.parse(behind(known)).principal, 'alice');
    const nobody = await askOwn(inside, '/v1/whoami');
    assert.equal(JSON.parse(behind(nobody)).principal, null);
    assert.equal(gateway.events.length, before, 'they are no exchanges');
    assert.deepEqual(dns.queries, []);
    const count = inside ? 4 : 2;
    await gateway.metric('sekisho_own_pages_total{listener="egress",status="200"}', count);
  });

  for (const path of ['/v1/whoami', '/v1/why/019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88', '/no-page']) {
    test(`a wrong credential is refused and recorded, ${way} at ${path}`, async () => {
      const answer = await askOwn(inside, path, 'X-Alice: guess');
      assert.equal(verdictOf(answer), '407 identity-invalid');
      const id = /^Sekisho-Exchange: (\S+)\r$/m.exec(answer)?.[1];
      const outcome = await gateway.outcome((event) => event.id === id);
      assert.partialDeepStrictEqual(outcome, {
        principal: null,
        destination: 'sekisho.internal:80',
        path,
        decision: { stage: 'identify', reason: 'identity-invalid' },
        outcome: { status: 407 },
      });
      assert.deepEqual(dns.queries, []);
    });
  }
}

test('a flood of guesses is answered on and counted, and the record bounded', async () => {
  const from = gateway.events.length;
  const guess = (_: unknown, i: number) => head('GET', WHOAMI, HOST, [`X-Alice: guess-${i}`]);
  const client = new RawClient(gateway.port).send(Array.from({ length: 200 }, guess).join(''));
  await client.times('HTTP/1.1 407 ', 200);
  client.close();
  const labels =
    'listener="egress",principal="",effect="deny",reason="identity-invalid",mode="enforce"';
  await gateway.metric(`sekisho_exchanges_total{${labels}}`, 200);
  await gateway.metric('sekisho_audit_refusals_suppressed_total', 140);
  assert.ok(gateway.events.length - from <= 2 * 60);
});

test('TLS to the gateway itself is no request', async () => {
  const client = new RawClient(gateway.port).send(
    `${head('CONNECT', `${HOST}:80`, HOST, [])}\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03`,
  );
  assert.equal(verdictOf(behind(await client.all())), '400 request-invalid');
});
