import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createCertificates } from '../support/certificates.ts';
import { statusOf } from '../support/clients.ts';
import { OK, startSecureUpstream } from '../support/credential-gateway.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { openSession } from '../support/intercept-gateway.ts';

async function ask(secure: TLSSocket, authority: string): Promise<number> {
  secure.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  const [answer] = await once(secure, 'data');
  return statusOf(String(answer));
}

function isIssuedBy(secure: TLSSocket, ca: string): boolean {
  const leaf = new X509Certificate(secure.getPeerCertificate().raw);
  return leaf.verify(new X509Certificate(ca).publicKey);
}

test('all workers answer by one CA, and a reload puts another in its place for new sessions', async (t) => {
  const certificates = createCertificates('api.localhost');
  const upstream = await startSecureUpstream(certificates, (_request, socket) => socket.write(OK));
  t.after(upstream.close);
  const other = createCertificates('unused.localhost');
  const gateway = await startGatewayProcess(
    t,
    `
gateway: { workers: 2, drain: { notice: 0s } }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ header: { name: X-Workload, value: { env: WORKLOAD } } }] } }
rules:
  - { name: api, allow: [fn], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1], methods: [GET], intercept: true }
intercept: { alsoTrust: { file: upstream.pem } }
`,
    {
      env: { WORKLOAD: 'sesame' },
      files: { 'upstream.pem': String(certificates.ca), 'my.crt': String(other.ca) },
    },
  );
  const authority = `api.localhost:${upstream.port}`;
  const own = await readFile(join(gateway.dir, 'var', 'intercept-ca.crt'), 'utf8');
  const open = (ca: string) => openSession({ port: gateway.port, authority, ca });
  const sessions = await Promise.all(Array.from({ length: 8 }, () => open(own)));
  for (const session of sessions) {
    assert.ok(isIssuedBy(session, own));
    assert.equal(await ask(session, authority), 200);
  }
  await writeFile(join(gateway.dir, 'my.key'), other.caKey, { mode: 0o600 });
  const text = await readFile(gateway.file, 'utf8');
  const ca = 'ca: { certificate: { file: my.crt }, key: { file: my.key } }, ';
  await writeFile(gateway.file, text.replace('intercept: { also', `intercept: { ${ca}also`));
  await gateway.logged(/"msg":"reloaded"/);
  const after = await open(String(other.ca));
  assert.equal(await ask(after, authority), 200);
  assert.ok(!isIssuedBy(after, own));
  const [before] = sessions;
  assert.equal(await ask(before as TLSSocket, authority), 200);
  for (const session of [...sessions, after]) session.destroy();
});
