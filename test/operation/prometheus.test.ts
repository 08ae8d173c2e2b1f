import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, run, statusOf } from '../support/clients.ts';
import { startCollector } from '../support/collector.ts';
import { startDns } from '../support/dns-server.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { freePort } from '../support/servers.ts';
import { ROOT } from '../support/sources.ts';
import { startHttpUpstream, startRawUpstream } from '../support/upstreams.ts';

/** Beside this file, since it ships with nothing. */
const ALERT_TESTS = 'test/operation/alerts.promtool.yaml';
const skip = needs('prometheus');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly runbook_url: string };
}

interface RuleTest {
  readonly alert_rule_test: readonly { alertname: string; exp_alerts: readonly unknown[] }[];
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

const alerts = (
  parse(read('deploy/prometheus/alerts.yaml')) as { groups: { rules: Alert[] }[] }
).groups.flatMap(({ rules }) => rules);

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { name: string; expr: string }[] };
}

const dashboard = JSON.parse(read('deploy/grafana/sekisho.json')) as Dashboard;

/** What the dashboard asks, by where it shows, with the variables that Grafana fills in. */
const queries = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ title, expr: filledIn(expr) })),
  ),
  ...dashboard.annotations.list.map(({ name, expr }) => ({ title: name, expr: filledIn(expr) })),
];

function filledIn(expr: string): string {
  return expr
    .replaceAll('$job', 'sekisho')
    .replaceAll('$instance', '.*')
    .replaceAll('$__rate_interval', '1m');
}

test('promtool finds the alerts well-formed, and each as its tests say', { skip }, async () => {
  for (const args of [
    ['check', 'rules', 'deploy/prometheus/alerts.yaml'],
    ['test', 'rules', ALERT_TESTS],
  ]) {
    const { code, stdout, stderr } = await run('promtool', args, { cwd: ROOT });
    assert.equal(code, 0, stdout + stderr);
  }
});

test('of every alert a test shows when it fires, and one when it does not', () => {
  const { tests } = parse(read(ALERT_TESTS)) as { tests: RuleTest[] };
  const shown = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
  for (const { alert } of alerts) {
    const own = shown.filter(({ alertname }) => alertname === alert);
    assert.ok(
      own.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${alert} fires in no test`,
    );
    assert.ok(
      own.some(({ exp_alerts }) => exp_alerts.length === 0),
      `${alert} fires in all tests`,
    );
  }
});

test('docs/monitoring.md says of every alert what to do, and of no other', () => {
  const headings = [...read('docs/monitoring.md').matchAll(/^### (Sekisho\w+)$/gm)].map(
    ([, heading]) => heading,
  );
  assert.deepEqual(headings.sort(), alerts.map(({ alert }) => alert).sort());
  for (const { alert, annotations } of alerts) {
    assert.equal(annotations.runbook_url, `docs/monitoring.md#${alert.toLowerCase()}`);
  }
});

const PRIVATE_KEY = generateKeyPairSync('ed25519').privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});

/** A gateway with something to tell of everything, and a round of traffic that makes it tell. */
async function startBusy(t: { after(done: () => Promise<void>): void }) {
  const { cert, key } = createCertificates('gateway.test');
  const upstream = await startHttpUpstream();
  const echo = await startRawUpstream((socket) => socket.pipe(socket));
  const dns = await startDns({ 'api.test': ['127.0.0.1'], 'sick.test': 'servfail' });
  const collector = await startCollector();
  const closed = await freePort();
  const gateway = await startTestGateway(
    `gateway: { resolvers: ["${dns.address}"] }
traces: { otlp: { url: "${collector.url}" } }
listeners:
  egress: { type: forward-proxy, bind: "127.0.0.1:0", from: [lab] }
  secure: { type: forward-proxy, bind: "127.0.0.1:0", tls: { certificate: { file: gw.crt }, key: { file: gw.key } } }
sets: { lab: { ranges: { file: lab.txt } } }
principals:
  local: { identify: [{ clientAddress: [127.0.0.1] }] }
  trial: { report: true, identify: [{ clientAddress: [127.0.0.1], header: { name: X-Trial, value: { env: TRIAL } } }] }
exits: { fixed: { localAddress: 127.0.0.1 } }
rules:
  - { name: api, allow: [local], to: [api.test, sick.test], ports: [${upstream.port}, ${closed}], addresses: [127.0.0.1], via: fixed }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
credentials: { token: { for: token.test, header: { A: { env: TRIAL } }, expires: 2099-12-31 } }
audit: { checkpoint: { key: { file: audit.key } } }
`,
    {
      env: { TRIAL: 'yes' },
      files: {
        'audit.key': String(PRIVATE_KEY),
        'lab.txt': '127.0.0.0/8\n',
        'gw.crt': cert.toString(),
        'gw.key': key.toString(),
      },
    },
  );
  const client = new RawClient(gateway.port);
  t.after(async () => {
    client.close();
    await gateway.stop();
    await Promise.all([upstream.close(), echo.close(), dns.close(), collector.close()]);
  });
  client.send(
    `CONNECT raw.localhost:${echo.port} HTTP/1.1\r\nHost: raw.localhost:${echo.port}\r\n\r\n`,
  );
  await client.until(/ 200 /);
  assert.equal(await ask(gateway, `sick.test:${upstream.port}`), 502);
  const silent = new RawClient(gateway.port);
  await once(silent.socket, 'connect');
  silent.close();
  const round = async () => {
    assert.equal(await ask(gateway, `api.test:${upstream.port}`), 200);
    assert.equal(await ask(gateway, `api.test:${closed}`), 502);
    assert.equal(await ask(gateway, 'other.test:80'), 403);
    // Passes in report mode, and finds no such name.
    assert.equal(await ask(gateway, 'other.test:80', 'X-Trial: yes\r\n'), 502);
  };
  return { gateway, round };
}

async function ask({ port }: TestGateway, authority: string, fields = ''): Promise<number> {
  const client = new RawClient(port);
  client.send(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n`);
  const status = statusOf(await client.until(/\r\n\r\n/));
  client.close();
  return status;
}

/** What is there only once it has happened. */
const MAY_BE_EMPTY = ['New policy'];

test('a real Prometheus answers all that dashboard and alerts ask, out of a real gateway', {
  skip,
}, async (t) => {
  const { gateway, round } = await startBusy(t);
  const prometheus = await startPrometheus(gateway);

  t.after(() => prometheus.stop());
  await trafficSeen(prometheus, round);

  const known = await prometheus.query('count by (__name__) ({job="sekisho"})');
  const names = new Set(known.map(({ metric }) => metric.__name__));
  const asked = [...alerts, ...queries].flatMap(({ expr }) => [
    ...expr.matchAll(/\b(?:sekisho|process|nodejs)_\w+/g),
  ]);
  for (const [name] of asked) assert.ok(names.has(name), `no metric is called ${name}`);

  for (const { expr } of alerts) await prometheus.query(expr);
  for (const { title, expr } of queries) {
    const samples = await prometheus.query(expr);
    assert.ok(
      samples.length > 0 || MAY_BE_EMPTY.includes(title),
      `${title} shows nothing: ${expr}`,
    );
  }
});

/** Makes traffic until it shows as a rate. */
async function trafficSeen(prometheus: Prometheus, round: () => Promise<void>): Promise<void> {
  for (;;) {
    await round();
    const seen = await prometheus.query(
      'sum(rate(sekisho_step_seconds_count{step="answer"}[1m])) > 0 and sum(rate(sekisho_trace_spans_exported_total[1m])) > 0',
    );
    if (seen.length > 0) return;
  }
}
