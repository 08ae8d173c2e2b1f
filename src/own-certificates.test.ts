import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCertificates } from '../test/support/certificates.ts';
import { startIntercepting } from '../test/support/intercept-gateway.ts';
import { load } from './config/load.ts';
import { findEndingCertificates, ownCertificates } from './own-certificates.ts';

const DAY_MS = 86_400_000;
const YEARS_MS = 4.9 * 365 * DAY_MS;

test('certificates that the gateway shows are told a month before they end: by check, log and metrics', async (t) => {
  const certificates = createCertificates('gateway.localhost');
  const { gateway } = await startIntercepting(t, {
    listener: 'tls: { certificate: { file: gw.crt }, key: { file: gw.key } }',
    files: { 'gw.crt': certificates.cert.toString(), 'gw.key': certificates.key.toString() },
  });
  const { config } = load(gateway.file, { env: { WORKLOAD: 'x', TOKEN: 'x' } });
  const [listener, ca] = ownCertificates(config);
  assert.deepEqual([listener?.name, ca?.name], ['listener egress', 'the intercept CA']);
  assert.ok((listener?.endsMs ?? 0) < Date.now() + 3 * DAY_MS);
  const told = (now: number) =>
    findEndingCertificates(config, now).map(({ severity, message }) => `${severity} ${message}`);
  const day = new Date(listener?.endsMs ?? 0).toISOString().slice(0, 10);
  assert.deepEqual(told(Date.now()), [`warning the certificate of listener egress ends on ${day}`]);
  const late = told(Date.now() + YEARS_MS + 30 * DAY_MS);
  assert.match(late[0] ?? '', /listener egress ended on/);
  assert.match(late[1] ?? '', /the certificate of the intercept CA ends on 20/);
  assert.match(gateway.log(), /a certificate ends soon/);
  assert.doesNotMatch(gateway.log(), /certificate of the intercept CA/);
  const seconds = Math.floor((ca?.endsMs ?? 0) / 1000);
  const series = 'sekisho_certificate_expiry_timestamp_seconds{certificate="the intercept CA"}';
  await gateway.metric(series, seconds);
});

test('a CA of one’s own ends with the first of its chain', async (t) => {
  const { gateway } = await startIntercepting(t);
  const { config } = load(gateway.file, { env: { WORKLOAD: 'x', TOKEN: 'x' } });
  const { ca, caKey } = createCertificates('a.localhost');
  const at = { file: join(gateway.dir, 'sekisho.yaml'), line: 1, column: 1 };
  const key = { from: 'literal', value: caKey.toString(), at } as const;
  const named = {
    ...config,
    intercept: { ...config.intercept, ca: { certificate: ca.toString(), key } },
  };
  const [own] = ownCertificates(named);
  assert.ok((own?.endsMs ?? 0) < Date.now() + 3 * DAY_MS);
  // What holds no certificate is told by what loads it.
  const broken = { ...config.intercept, ca: { certificate: 'none', key } };
  assert.deepEqual(ownCertificates({ ...config, intercept: broken }), []);
});
