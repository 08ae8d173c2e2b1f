import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs, type Program, PYTHON } from '../support/programs.ts';
import { freePort, type RunningServer, startServer } from '../support/servers.ts';

const HOUR_MS = 3_600_000;
const SIZE = 12 * 1024 * 1024;
const CONTENT = randomBytes(SIZE);
const DIGEST = sha256(CONTENT);

/** Servers of others, each started on a folder that holds `big.bin`. */
const SERVERS: Record<string, { program: Program; start(dir: string): Promise<RunningServer> }> = {
  nginx: { program: 'nginx-light', start: startNginx },
  Apache: { program: 'apache2-bin', start: startApache },
  "Python's http.server": { program: 'python3', start: startPython },
  'HAProxy before Node': { program: 'haproxy', start: startHaproxy },
};

let dir: string;
let gateway: TestGateway;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sekisho-servers-'));
  await mkdir(join(dir, 'files'));
  const file = join(dir, 'files/big.bin');
  await writeFile(file, CONTENT);
  const changed = new Date(Date.now() - 2 * HOUR_MS);
  await utimes(file, changed, changed);
  gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules: [{ name: files, allow: [local], to: [files.localhost], ports: ["1024-65535"], addresses: [127.0.0.1], tls: off }]
`);
});

after(async () => {
  await gateway.stop();
  await rm(dir, { recursive: true });
});

for (const [name, { program, start }] of Object.entries(SERVERS)) {
  test(`${name} as the upstream`, { skip: needs(program, 'curl') }, async (t) => {
    const server = await start(dir);
    t.after(() => server.stop());
    const url = `http://files.localhost:${server.port}`;
    const proxy = ['-sS', '-x', gateway.proxyUrl];
    const curl = (...args: string[]) => run('curl', [...proxy, ...args]);
    const digestOf = async (...args: string[]) => {
      const { stdout } = await run('sh', ['-c', 'curl "$@" | sha256sum', 'sh', ...proxy, ...args]);
      return stdout.split(' ')[0];
    };

    await t.test('a large file arrives whole, in absolute form and through a tunnel', async () => {
      assert.equal(await digestOf(`${url}/big.bin`), DIGEST);
      assert.equal(await digestOf('-p', `${url}/big.bin`), DIGEST);
      assert.equal(await digestOf('--http1.0', `${url}/big.bin`), DIGEST);
    });
    await t.test('two requests on one connection, one of them not found', async () => {
      const form = '%{http_code} %{num_connects} ';
      const args = ['-o', '/dev/null', '-o', '/dev/null', '-w', form];
      const { stdout } = await curl(...args, `${url}/missing`, `${url}/big.bin`);
      assert.equal(stdout, '404 1 200 0 ');
    });
    await t.test('HEAD tells the length and sends none of it', async () => {
      const { stdout } = await curl('-I', `${url}/big.bin`);
      assert.match(stdout, new RegExp(`^content-length: ${SIZE}\\r$`, 'im'));
    });
    await t.test('a conditional request is answered 304 without a body', async () => {
      const date = new Date(Date.now() - HOUR_MS).toUTCString();
      const form = '%{http_code} %{size_download}';
      const header = `If-Modified-Since: ${date}`;
      const { stdout } = await curl('-o', '/dev/null', '-w', form, '-H', header, `${url}/big.bin`);
      assert.equal(stdout, '304 0');
    });
    await t.test('a download that the client breaks off ends the one from the server', async () => {
      await curl('-m', '5', '-o', '/dev/null', '--max-filesize', '1000', `${url}/big.bin`);
      const { stdout } = await curl('-r', '0-9', `${url}/big.bin`);
      assert.ok(stdout.length > 0);
    });
  });
}

test('uploads arrive whole from curl and from Python, counted and chunked', {
  skip: needs('curl', 'python3'),
}, async (t) => {
  const seen: string[] = [];
  const sink = createServer(async (request, response) => {
    const hash = createHash('sha256');
    for await (const chunk of request) hash.update(chunk);
    seen.push(hash.digest('hex'));
    response.end('taken');
  });
  const port = await listen(sink);
  t.after(() => sink.close());
  const url = `http://files.localhost:${port}/`;
  const file = join(dir, 'files/big.bin');
  const curl = ['-sS', '-x', gateway.proxyUrl, '-T', file, url];
  await run('curl', curl);
  await run('curl', ['-H', 'Transfer-Encoding: chunked', ...curl]);
  const script = `
import http.client, sys
def pieces():
    with open(sys.argv[3], 'rb') as f:
        while piece := f.read(50000):
            yield piece
c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))
c.request('POST', sys.argv[2], body=pieces(), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
print(c.getresponse().read().decode())
`;
  const { stdout } = await run(PYTHON, ['-c', script, String(gateway.port), url, file]);
  assert.equal(stdout, 'taken\n');
  assert.deepEqual(seen, [DIGEST, DIGEST, DIGEST]);
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function startNginx(folder: string): Promise<RunningServer> {
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  await writeFile(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr; user root;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/nginx-body; proxy_temp_path ${folder}/nginx-proxy;
  fastcgi_temp_path ${folder}/nginx-fcgi; uwsgi_temp_path ${folder}/nginx-uwsgi; scgi_temp_path ${folder}/nginx-scgi;
  server { listen 127.0.0.1:${port}; root ${folder}/files; if_modified_since before; }
}
`,
  );
  return startServer('nginx', ['-c', config, '-e', 'stderr'], [port]);
}

async function startApache(folder: string): Promise<RunningServer> {
  const port = await freePort();
  const config = join(folder, 'apache.conf');
  const modules = ['mpm_event', 'authz_core'].map(
    (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
  );
  await writeFile(
    config,
    `${modules.join('\n')}
ServerName files.localhost
ServerRoot ${folder}
PidFile ${folder}/apache.pid
DefaultRuntimeDir ${folder}
ErrorLog ${folder}/apache.log
Listen 127.0.0.1:${port}
DocumentRoot ${folder}/files
`,
  );
  return startServer('apache2', ['-X', '-f', config], [port]);
}

async function startPython(folder: string): Promise<RunningServer> {
  const port = await freePort();
  const script = `
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *args): pass
handler = functools.partial(Handler, directory=sys.argv[2])
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), handler).serve_forever()
`;
  return startServer(PYTHON, ['-c', script, String(port), join(folder, 'files')], [port]);
}

async function startHaproxy(folder: string): Promise<RunningServer> {
  const port = await freePort();
  const files = createServer((request, response) => {
    if (request.url !== '/big.bin') return void response.writeHead(404).end();
    if (request.headers['if-modified-since'] !== undefined)
      return void response.writeHead(304).end();
    response.setHeader('content-length', SIZE);
    response.end(request.method === 'HEAD' ? undefined : CONTENT);
  });
  const behind = await listen(files);
  const config = join(folder, 'haproxy-upstream.cfg');
  await writeFile(
    config,
    `
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen files
  bind 127.0.0.1:${port}
  server node 127.0.0.1:${behind}
`,
  );
  const server = await startServer('haproxy', ['-db', '-f', config], [port]);
  return {
    port,
    async stop() {
      await server.stop();
      files.closeAllConnections();
      files.close();
    },
  };
}
