import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { RawClient } from '../support/clients.ts';
import { startCollector } from '../support/collector.ts';
import { startTestGateway } from '../support/gateway.ts';
import { startHttpUpstream } from '../support/upstreams.ts';

const SECRETS = {
  header: 'the-header-secret',
  password: 'the-password-secret',
  token: 'the-token-secret',
  admin: 'the-admin-secret',
  collector: 'the-collector-secret',
  query: 'the-query-secret',
  cookie: 'the-cookie-secret',
  clear: 'the-clear-secret',
};

/** Controls, format characters, separators of lines: what a terminal acts upon. */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function basic(password: string): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`app:${password}`).toString('base64')}`;
}

/** Each with whether it is right. */
const EVIDENCE: readonly string[] = [
  `X-Id: ${SECRETS.header}`,
  `X-Id: ${SECRETS.header}x`,
  `X-Id: ${SECRETS.header}\r\nX-Id: ${SECRETS.header}`,
  basic(SECRETS.password),
  basic(`${SECRETS.password}x`),
  `Proxy-Authorization: Bearer ${SECRETS.token}`,
  `Proxy-Authorization: Bearer ${SECRETS.token}x`,
];

test('the most talkative log holds no secret and nothing that a terminal acts upon', async (t) => {
  const upstream = await startHttpUpstream();
  const collector = await startCollector();
  t.after(async () => {
    await upstream.close();
    await collector.close();
  });
  collector.answer({ status: 400, headers: { 'x-said': SECRETS.query } });
  const gateway = await startTestGateway(
    `gateway: { log: debug }
admin: { bind: "127.0.0.1:0", token: { env: ADMIN } }
traces: { otlp: { url: "${collector.url}", headers: { Api-Key: { env: COLLECTOR } } } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  by-header: { identify: [{ header: { name: X-Id, value: { env: HEADER } } }] }
  by-password: { identify: [{ basic: { username: app, password: { env: PASSWORD } } }] }
  by-token: { identify: [{ bearer: { token: { env: TOKEN } } }] }
rules: [{ name: api, allow: ["*"], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`,
    {
      env: {
        ADMIN: SECRETS.admin,
        COLLECTOR: SECRETS.collector,
        HEADER: SECRETS.header,
        PASSWORD: SECRETS.password,
        TOKEN: SECRETS.token,
      },
    },
  );
  t.after(() => gateway.stop());

  const authority = `api.localhost:${upstream.port}`;
  const send = async (line: string, fields: string) => {
    const client = new RawClient(gateway.port);
    client.send(`${line} HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n\r\n`);
    client.socket.end();
    await client.all();
  };
  for (const evidence of EVIDENCE) {
    const cookie = `Cookie: s=${SECRETS.cookie}\r\nAuthorization: Bearer ${SECRETS.cookie}`;
    await send(`GET http://${authority}/?k=${SECRETS.query}`, `${evidence}\r\n${cookie}`);
    await send(`CONNECT ${authority}`, evidence);
  }
  for (const hostile of ['\x1b[2J', '\x9b2J', '\u00ad', '\x07', '\x00', '%1b[2J']) {
    await send(`GET http://${authority}/${hostile}`, EVIDENCE[0] as string);
    await send(`G${hostile}T http://${authority}/`, EVIDENCE[0] as string);
    await send(`GET http://${hostile}.localhost/`, EVIDENCE[0] as string);
  }
  // A configuration that is refused: with a secret where none may stand, and text that would paint the terminal.
  const before = await readFile(gateway.file, 'utf8');
  for (const faulty of [`value: ${SECRETS.clear}`, 'value: { env: "A\\e[2J" }', '"\\e[2J": x']) {
    await writeFile(gateway.file, before.replace('value: { env: HEADER }', faulty));
    assert.equal(await gateway.gateway.reload(), false);
  }
  await collector.asked(1);
  await gateway.gateway.stop({ notice: false });

  const log = gateway.log();
  assert.equal(UNPRINTABLE.exec(log)?.[0], undefined);
  for (const [kind, secret] of Object.entries(SECRETS)) {
    assert.ok(!log.includes(secret), `the log has the ${kind}`);
    assert.ok(!log.includes(Buffer.from(secret).toString('base64').slice(0, 16)), kind);
  }
  const told = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const messages = told.map(({ msg }) => msg);
  assert.ok(messages.filter((msg) => msg === 'exchange').length >= 2 * EVIDENCE.length);
  assert.ok(messages.filter((msg) => msg.startsWith('reload refused')).length >= 3);
  assert.ok(messages.includes('traces cannot be exported'));
});

test('at the usual level the log tells of no single exchange, and a reload changes that', async (t) => {
  const gateway = await startTestGateway(
    'listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }\n',
  );
  t.after(() => gateway.stop());
  const ask = async () => {
    const client = new RawClient(gateway.port);
    client.send('GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n');
    client.socket.end();
    await client.all();
  };
  await ask();
  await gateway.outcome();
  assert.doesNotMatch(gateway.log(), /"msg":"exchange"/);
  const before = await readFile(gateway.file, 'utf8');
  await writeFile(gateway.file, `${before}gateway: { log: debug }\n`);
  assert.equal(await gateway.gateway.reload(), true);
  await ask();
  await gateway.outcome(({ id }) => gateway.log().includes(id));
});
