import assert from 'node:assert/strict';
import { once } from 'node:events';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { type Certificates, createCertificates } from '../support/certificates.ts';
import { RawClient, run } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';
import { startHttpsUpstream, type Upstream } from '../support/upstreams.ts';

const certificates = createCertificates('api.localhost');
const first = createCertificates('gateway.localhost', 'localhost', '127.0.0.1');
const second = createCertificates('gateway.localhost', 'localhost', '127.0.0.1');
let upstream: Upstream;
let gateway: TestGateway;

before(async () => {
  upstream = await startHttpsUpstream(certificates);
  gateway = await startTestGateway(
    `
listeners:
  egress:
    type: forward-proxy
    bind: "127.0.0.1:0"
    proxyProtocol: { from: [127.0.0.9] }
    tls: { certificate: { file: gw.crt }, key: { file: gw.key } }
principals: { job: { identify: [{ basic: { username: job, password: { env: PASSWORD } } }] } }
rules: [{ name: api, allow: [job], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }]
`,
    { env: { PASSWORD: 'pw' }, files: pemFiles(first) },
  );
});

after(async () => {
  await gateway.stop();
  await upstream.close();
});

function pemFiles({ cert, key }: Certificates): Record<string, string> {
  return { 'gw.crt': cert.toString(), 'gw.key': key.toString() };
}

async function handshake(
  ca: Buffer,
  options: { ALPNProtocols?: string[]; maxVersion?: 'TLSv1.1' } = {},
): Promise<TLSSocket> {
  const socket = connect({ port: gateway.port, host: '127.0.0.1', ca, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

test('curl reaches an https upstream through the proxy over TLS', {
  skip: needs('curl'),
}, async () => {
  const args = ['-sS', '--proxy-cacert', first.caFile, '--cacert', certificates.caFile];
  const proxy = `https://job:pw@127.0.0.1:${gateway.port}`;
  const { stdout, stderr } = await run('curl', [
    ...args,
    '-x',
    proxy,
    `https://api.localhost:${upstream.port}/`,
  ]);
  assert.equal(stdout, 'hello', stderr);
});

test('urllib3 does so too', { skip: needs('python3-urllib3') }, async () => {
  const script = `
import ssl, sys, urllib3
proxy, ca, proxy_ca, url = sys.argv[1:]
context = ssl.create_default_context(cafile=proxy_ca)
context.check_hostname = False  # this urllib3 gives no name to check
headers = urllib3.make_headers(proxy_basic_auth='job:pw')
manager = urllib3.ProxyManager(proxy, proxy_headers=headers, proxy_ssl_context=context, ca_certs=ca)
print(manager.request('GET', url).data.decode())
`;
  const url = `https://api.localhost:${upstream.port}/`;
  const args = [
    '-c',
    script,
    `https://127.0.0.1:${gateway.port}`,
    certificates.caFile,
    first.caFile,
    url,
  ];
  const { stdout, stderr } = await run(PYTHON, args);
  assert.equal(stdout, 'hello\n', stderr);
});

test('ALPN is http/1.1, and old TLS is not spoken', async () => {
  const socket = await handshake(first.ca, { ALPNProtocols: ['h2', 'http/1.1'] });
  assert.equal(socket.alpnProtocol, 'http/1.1');
  socket.destroy();
  await assert.rejects(handshake(first.ca, { maxVersion: 'TLSv1.1' }));
});

test('plain bytes on the TLS listener are closed and counted', async () => {
  const client = new RawClient(gateway.port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.doesNotMatch(await client.all(), /HTTP/);
});

test('a balancer speaks its PROXY header before the TLS', async () => {
  const { connect: connectTcp } = await import('node:net');
  const raw = connectTcp({ port: gateway.port, host: '127.0.0.1', localAddress: '127.0.0.9' });
  await once(raw, 'connect');
  raw.write('PROXY TCP4 10.1.2.3 127.0.0.1 40000 3128\r\n');
  const socket = connect({ socket: raw, ca: first.ca, servername: 'gateway.localhost' });
  await once(socket, 'secureConnect');
  socket.write('CONNECT x.example:443 HTTP/1.1\r\nHost: x.example:443\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  const outcome = await gateway.outcome((event) => event.client === '10.1.2.3:40000');
  assert.equal(outcome.decision?.reason, 'no-identity');
});

test('a renewed certificate is served without a restart, and a broken one is not', async () => {
  const swap = async (files: Record<string, string>, time: Date) => {
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(gateway.dir, name), text);
      await utimes(join(gateway.dir, name), time, time);
    }
    // The files are looked at again once a second, as connections come.
    await new Promise((looked) => setTimeout(looked, 1_050));
  };
  await swap(pemFiles(second), new Date(Date.now() + 60_000));
  (await handshake(second.ca)).destroy();
  await swap({ 'gw.key': 'no key' }, new Date(Date.now() + 120_000));
  (await handshake(second.ca)).destroy();
  assert.match(gateway.log(), /gw\.key.*cannot be used/);
});
