import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { statusOf } from '../support/clients.ts';
import { startIntercepting } from '../support/intercept-gateway.ts';

test('a request within https:// is decided on, sent over verified TLS, and recorded by itself', async (t) => {
  const { ask, upstream, authority, gateway } = await startIntercepting(t, {
    rule: ', methods: [GET], paths: [/repos/**]',
  });
  const answer = await ask(
    `GET /repos/acme HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`,
  );
  assert.equal(statusOf(answer), 200);
  assert.equal(upstream.requests.length, 1);
  const inner = await gateway.outcome(({ action }) => action === 'GET');
  assert.deepEqual(
    [inner.destination, inner.path, inner.principal, inner.decision?.rule],
    [authority, '/repos/acme', 'fn', 'api'],
  );
  const outer = await gateway.outcome(({ action }) => action === 'CONNECT');
  assert.equal(outer.tls?.sni, 'api.localhost');
});

test('the CA is made for the gateway alone, and its leaves name one host for a day', async (t) => {
  const { open, ca, gateway } = await startIntercepting(t);
  const { mode } = await stat(join(gateway.dir, 'var', 'intercept-ca.key'));
  assert.equal(mode & 0o777, 0o600);
  const authority = new X509Certificate(ca);
  assert.ok(authority.ca && authority.verify(authority.publicKey));
  const secure = await open();
  const leaf = new X509Certificate(secure.getPeerCertificate().raw);
  assert.equal(leaf.subjectAltName, 'DNS:api.localhost');
  assert.ok(!leaf.ca && leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  assert.ok(leaf.validToDate.getTime() - Date.now() <= 24 * 3_600_000);
  assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
});
