import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fetch, ProxyAgent } from 'undici';
import type { Certificates } from '../support/certificates.ts';
import { run } from '../support/clients.ts';
import { NOT_REMEMBERED } from '../support/credential-gateway.ts';
import { startIntercepting } from '../support/intercept-gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';
import { freePort, startServer } from '../support/servers.ts';

/** nginx, which picks HTTP/2 where it is offered, and says what it was asked in. */
async function startNginx(t: TestContext, { caFile }: Certificates) {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-nginx-'));
  // Its workers are nobody's.
  chmodSync(dir, 0o755);
  const port = await freePort();
  const leaf = join(caFile, '..');
  const file = join(dir, 'nginx.conf');
  writeFileSync(join(dir, 'large'), Buffer.alloc(3_000_000, 'x'));
  writeFileSync(
    file,
    `daemon off; pid ${dir}/pid; error_log ${dir}/error.log; events {}
http {
  access_log off;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${leaf}/leaf.crt; ssl_certificate_key ${leaf}/leaf.key;
    location /large { root ${dir}; }
    location / { return 200 "$server_protocol $request_method $uri"; }
  }
}
`,
  );
  const nginx = await startServer(
    'nginx',
    ['-c', file, '-p', dir, '-e', join(dir, 'error.log')],
    [port],
  );
  t.after(() => nginx.stop());
  return { ...NOT_REMEMBERED, port, close: async () => {} };
}

const HTTPX = `
import sys, httpx
proxy, ca, url = sys.argv[1:]
with httpx.Client(http2=True, proxies=proxy, verify=ca) as client:
    for path in ('/a', '/b'):
        response = client.get(url + path)
        print(response.http_version, response.status_code, response.text)
    print(len(client.get(url + '/large').content))
`;

test('curl, httpx and undici speak HTTP/2 through it to nginx, and HTTP/1.1 where they want', {
  skip: needs('curl', 'nginx-light', 'python3-httpx', 'python3-h2'),
}, async (t) => {
  const { authority, caFile, ca, gateway } = await startIntercepting(t, {
    serve: (certificates) => startNginx(t, certificates),
  });
  const proxy = `http://fn:sesame@127.0.0.1:${gateway.port}`;
  const url = `https://${authority}`;
  const curl = async (flag: string) => {
    const args = [
      '-sS',
      flag,
      '-x',
      proxy,
      '--cacert',
      caFile,
      '-w',
      ' %{http_version}',
      `${url}/x`,
    ];
    const { stdout, stderr } = await run('curl', args);
    return stdout + stderr;
  };
  assert.equal(await curl('--http2'), 'HTTP/2.0 GET /x 2');
  assert.equal(await curl('--http1.1'), 'HTTP/1.1 GET /x 1.1');
  const httpx = await run(PYTHON, ['-c', HTTPX, proxy, caFile, url]);
  assert.equal(
    httpx.stdout + httpx.stderr,
    'HTTP/2 200 HTTP/2.0 GET /a\nHTTP/2 200 HTTP/2.0 GET /b\n3000000\n',
  );
  const dispatcher = new ProxyAgent({
    uri: gateway.proxyUrl,
    headers: { 'x-workload': 'sesame' },
    requestTls: { ca, allowH2: true },
    allowH2: true,
  });
  t.after(() => dispatcher.close());
  const texts = ['/c', '/d'].map(async (path) => (await fetch(url + path, { dispatcher })).text());
  assert.deepEqual(await Promise.all(texts), ['HTTP/2.0 GET /c', 'HTTP/2.0 GET /d']);
});
