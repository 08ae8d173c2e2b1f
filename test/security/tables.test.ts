import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { RawClient, statusOf } from '../support/clients.ts';
import { type DnsServer, queriesFor, startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import {
  type RawUpstream,
  startHttpUpstream,
  startRawUpstream,
  type Upstream,
} from '../support/upstreams.ts';

function cases<Row>(name: string): Row[] {
  return JSON.parse(readFileSync(new URL(`../cases/${name}.json`, import.meta.url), 'utf8')).cases;
}

async function ask(gateway: TestGateway, bytes: string): Promise<string> {
  const client = new RawClient(gateway.port).send(bytes);
  const answer = await client.until(/\r\n\r\n/);
  client.close();
  return answer;
}

const PRINCIPAL = 'principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }';
/** From loopback the system dials no public address: what is allowed fails there, and no packet leaves the machine. */
const NOWHERE = 'exits: { nowhere: { localAddress: 127.0.0.1 } }';
const LISTENER = 'listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }';

/** Framing: the upstream stands for good.com on port 80, reached through a loopback port by the test's own DNS. */
test('every case of framing.json', async (t) => {
  let upstream: Upstream;
  let dns: DnsServer;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startHttpUpstream();
    dns = await startDns({ 'good.com': ['127.0.0.1'] });
    gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
${LISTENER}
${PRINCIPAL}
rules: [{ name: good, allow: [local], to: [good.com], ports: [80, 443, ${upstream.port}], addresses: [127.0.0.1] }]
`);
  });
  after(async () => {
    await gateway.stop();
    await dns.close();
    await upstream.close();
  });
  for (const { name, raw, status } of cases<{
    name: string;
    raw: string;
    status: number | number[];
  }>('framing')) {
    await t.test(name, async () => {
      const before = upstream.requests.length;
      const port = upstream.port;
      // The table speaks of port 80; the test server has another.
      const bytes = name.startsWith('connect-') ? raw : onPort(raw, port);
      const client = new RawClient(gateway.port).send(bytes);
      const answer = await client.until(/\r\n\r\n/);
      const got = statusOf(answer);
      if (name.startsWith('connect-') && status === 200) {
        // Nobody listens on 443: allowed, then an honest 502.
        assert.ok(got === 200 || got === 502, answer);
      } else {
        assert.ok([status].flat().includes(got), `${name}: ${answer}`);
      }
      if (got === 400) {
        await client.all();
        assert.equal(upstream.requests.length, before, 'the upstream saw a complete request');
      }
      client.close();
    });
  }
});

function onPort(raw: string, port: number): string {
  return raw
    .replace(/^(\S+ +http:\/\/(?:[^/@\s]*@)?good\.com)(?=[/ ])/i, `$1:${port}`)
    .replace(/^(Host ?: ?)(good\.com)(?::80)?(?=\r|\n|$)/gim, `$1$2:${port}`);
}

test('every case of connect-targets.json', async (t) => {
  let upstream: RawUpstream;
  let dns: DnsServer;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startRawUpstream();
    dns = await startDns({ 'good.com': ['127.0.0.1'] });
    gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
${LISTENER}
${PRINCIPAL}
rules:
  - { name: name, allow: [local], to: [good.com], ports: [443], addresses: [127.0.0.1] }
  - { name: literals, allow: [local], to: ["2606:4700:4700::1111", 8.8.8.8], ports: [443], via: nowhere }
${NOWHERE}
`);
  });
  after(async () => {
    await gateway.stop();
    await dns.close();
    await upstream.close();
  });
  for (const { target, status } of cases<{ target: string; status: number }>('connect-targets')) {
    await t.test(JSON.stringify(target), async () => {
      const got = statusOf(
        await ask(gateway, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`),
      );
      // 200 in the table means allowed: dialling may still fail, and on this machine it does.
      if (status === 200) assert.ok([200, 502, 504].includes(got), `${got}`);
      else assert.equal(got, status);
    });
  }
});

test('every case of hosts.json, over CONNECT and in absolute form', async (t) => {
  type Row = { to: string[]; host: string; decision: 'allow' | 'deny' | 'invalid'; only?: string };
  const EXPECTED = { allow: [502], deny: [403], invalid: [400] };
  const rows = cases<Row>('hosts');
  const dns = await startDns({});
  after(() => dns.close());
  for (const to of new Set(rows.map((row) => JSON.stringify(row.to)))) {
    const gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
${LISTENER}
${PRINCIPAL}
rules: [{ name: it, allow: [local], to: ${to}, ports: [80, 443], via: nowhere }]
${NOWHERE}
`);
    for (const { host, decision, only } of rows.filter((row) => JSON.stringify(row.to) === to)) {
      await t.test(`${JSON.stringify(host.slice(0, 40))} to ${to}: ${decision}`, async () => {
        const wire = Buffer.from(host).toString('latin1');
        const connect = await ask(
          gateway,
          `CONNECT ${wire}:443 HTTP/1.1\r\nHost: ${wire}:443\r\n\r\n`,
        );
        assert.ok(EXPECTED[decision].includes(statusOf(connect)), connect);
        if (only === 'connect') return;
        const absolute = await ask(
          gateway,
          `GET http://${wire}/ HTTP/1.1\r\nHost: ${wire}\r\n\r\n`,
        );
        assert.ok(EXPECTED[decision].includes(statusOf(absolute)), absolute);
      });
    }
    await gateway.stop();
  }
  const denied = rows
    .filter((row) => row.decision !== 'allow')
    .map((row) => row.host.toLowerCase());
  const allowed = new Set(
    rows.filter((row) => row.decision === 'allow').map((row) => row.host.toLowerCase()),
  );
  for (const name of denied.filter((host) => !allowed.has(host))) {
    assert.equal(queriesFor(dns, name), 0, `a DNS query for ${name}`);
  }
});

test('every case of addresses.json, as a literal and as a DNS answer', async (t) => {
  const table = JSON.parse(
    readFileSync(new URL('../cases/addresses.json', import.meta.url), 'utf8'),
  ) as Record<'forbidden' | 'permitted' | 'invalid', string[]>;
  let dns: DnsServer;
  let gateway: TestGateway;
  before(async () => {
    const names = Object.fromEntries(table.forbidden.map((ip, i) => [`f${i}.good.com`, [ip]]));
    dns = await startDns(names);
    gateway = await startTestGateway(`
gateway: { resolvers: ["${dns.address}"] }
${LISTENER}
${PRINCIPAL}
rules: [{ name: all, allow: [local], to: ["*", 0.0.0.0/0, "::/0"], ports: [443] }]
`);
  });
  after(async () => {
    await gateway.stop();
    await dns.close();
  });
  const connect = (host: string) =>
    ask(gateway, `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`);
  const literal = (ip: string) => (ip.includes(':') ? `[${ip}]` : ip);
  for (const [i, ip] of table.forbidden.entries()) {
    await t.test(`${ip} is forbidden`, async () => {
      assert.match(await connect(literal(ip)), /^HTTP\/1\.1 403 Forbidden: address-forbidden/);
      assert.match(await connect(`f${i}.good.com`), /^HTTP\/1\.1 403 Forbidden: address-forbidden/);
    });
  }
  for (const ip of table.invalid) {
    await t.test(`${ip} is no form of an address`, async () => {
      assert.equal(statusOf(await connect(literal(ip))), 400);
    });
  }
});
