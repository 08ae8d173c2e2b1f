import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { ParameterStore } from '../support/aws/ssm.ts';
import { createCertificates } from '../support/certificates.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { bodyOf, startSecureUpstream, TOKEN } from '../support/credential-gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { ECHOES, tells } from '../support/secret-echoes.ts';

/** By host, which has the name of the source. */
const SECRETS: Readonly<Record<string, string>> = {
  'file.localhost': TOKEN,
  'ssm.localhost': 'p/+s"wJalrXUtnFE\\MI/K7MDENG+bPxRf%iCYEXAMPLEKEY',
  'env.localhost': '7123456789:AAF_k-Ql0zVxW9r3tYuIoPaSdFgHjKlZxCv',
};
/** What Parameter Store has for this one can be put in no header. */
const UNFIT = 'sk_live_51HxQ2eZvKYlo2C0rqTnB7\r\nX-Admin: yes';
const ALL = [...Object.values(SECRETS), UNFIT.slice(0, 30)];
const WORKLOAD = 'sesame';

const POLICY = (port: number) => `
gateway: { workers: 2, log: debug, drain: { notice: 0s, limit: 1s } }
audit: { also: [{ squidLog: var/access.log }] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ header: { name: X-Workload, value: { file: workload.txt } } }] } }
rules:
${['file', 'ssm', 'env', 'unfit'].map((name) => `  - { name: ${name}, allow: [fn], to: [${name}.localhost], ports: [${port}], addresses: [127.0.0.1], with: ${name} }`).join('\n')}
credentials:
  file: { for: file.localhost, tls: { ca: { file: ca.pem } }, header: { Authorization: ["token ", { file: token.txt }] } }
  ssm: { for: ssm.localhost, tls: { ca: { file: ca.pem } }, query: { key: { ssm: /api } } }
  env: { for: env.localhost, tls: { ca: { file: ca.pem } }, path: ["/bot", { env: LEAKS_TOKEN }, "{path}"] }
  unfit: { for: unfit.localhost, tls: { ca: { file: ca.pem } }, header: { X-Key: { ssm: /unfit } } }
`;

/** Says again what it was sent, as the request asks: in an interim response, reason, header, body and trailer. */
function answer(request: string, socket: TLSSocket): void {
  const host = /^Host: ([^:]+)/im.exec(request)?.[1] ?? '';
  const secret = SECRETS[host] ?? '';
  const way = /^X-Echo-As: (.*)\r$/im.exec(request)?.[1] ?? '';
  // Whatever did not carry it is not answered, so that nothing passes for want of it.
  if (!tells(request, secret)) return void socket.destroy();
  if (way === 'status') return void socket.end(`HTTP/1.1 ${secret} bad\r\n\r\n`);
  const told = ECHOES[way]?.(secret) ?? '';
  socket.write(`HTTP/1.1 103 Early Hints\r\nLink: <${told}>; rel=preload\r\n\r\n`);
  const head = ['Trailer: X-Last', 'Transfer-Encoding: chunked', `X-Echo: ${told}`];
  socket.write(`HTTP/1.1 200 ${told}\r\n${head.join('\r\n')}\r\n\r\n`);
  for (const [piece] of `<${told}>`.matchAll(/.{1,7}/gs)) {
    socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
  }
  socket.write(`0\r\nX-Last: ${told}\r\n\r\n`);
}

async function startAll(t: TestContext) {
  const certificates = createCertificates(...Object.keys(SECRETS), 'unfit.localhost');
  const upstream = await startSecureUpstream(certificates, answer);
  t.after(upstream.close);
  const parameters = new ParameterStore();
  parameters.put('/api', SECRETS['ssm.localhost'] as string);
  parameters.put('/unfit', UNFIT);
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  const gateway = await startGatewayProcess(t, POLICY(upstream.port), {
    env: { ...aws.env(), LEAKS_TOKEN: SECRETS['env.localhost'] },
    files: {
      'ca.pem': certificates.ca.toString(),
      'token.txt': SECRETS['file.localhost'] as string,
      'workload.txt': WORKLOAD,
    },
  });
  const ask = (method: string, authority: string, path: string, ...headers: string[]) => {
    const lines = [
      `${method} http://${authority}${path} HTTP/1.1`,
      `Host: ${authority}`,
      `X-Workload: ${WORKLOAD}`,
      'Connection: close',
      ...headers,
    ];
    return new RawClient(gateway.port).send(`${lines.join('\r\n')}\r\n\r\n`).all();
  };
  return { gateway, ask, port: upstream.port };
}

/** Ids of exchanges, once so many have ended. */
async function ended(gateway: GatewayProcess, count: number): Promise<string[]> {
  for (;;) {
    const tail = await gateway.page('/v1/audit/tail?n=1000&types=outcome');
    const ids = tail.split('\n').flatMap((line) => /"id":"([^"]+)"/.exec(line)?.[1] ?? []);
    if (ids.length >= count) return ids;
  }
}

/** Of all processes of the gateway's group: what was theirs at the start, for whoever may read it. */
function processes(group: number): { environ: string; cmdline: string }[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const read = (name: string) => readFileSync(join('/proc', pid, name), 'latin1');
    try {
      const [, , itsGroup] = read('stat')
        .replace(/^.*\) /s, '')
        .split(' ');
      if (Number(itsGroup) !== group) return [];
      return [{ environ: read('environ'), cmdline: read('cmdline') }];
    } catch {
      return []; // gone meanwhile
    }
  });
}

function contents(dir: string): [string, string][] {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => [name, readFileSync(join(parentPath, name), 'utf8')]);
}

test('what looks for a secret finds it in every encoding', () => {
  for (const [name, echo] of Object.entries(ECHOES)) {
    for (const secret of ALL) {
      assert.ok(tells(`<${echo(secret)}>`, secret), name);
      assert.ok(tells(JSON.stringify(`<${echo(secret)}>`), secret), `${name}, quoted`);
    }
  }
});

test('a token is nowhere but on its way: answers, errors, log, record, metrics, admin API, processes', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, async (t) => {
  const { gateway, ask, port } = await startAll(t);
  const answers: string[] = [];
  for (const host of Object.keys(SECRETS)) {
    for (const way of Object.keys(ECHOES)) {
      const told = await ask('GET', `${host}:${port}`, '/me?page=1', `X-Echo-As: ${way}`);
      assert.match(told, /^HTTP\/1\.1 103 [\s\S]*\r\nHTTP\/1\.1 200 .*\*{20}/, `${host} ${way}`);
      // Without the lengths of chunks, by which an echo would be in pieces.
      const body = bodyOf(told.slice(told.indexOf('HTTP/1.1 200')));
      assert.match(body, /^<.*\*{20}.*>$/, `${host} ${way}`);
      answers.push(`${told}${body}`);
    }
    const failed = await ask('GET', `${host}:${port}`, '/', 'X-Echo-As: status');
    assert.equal(statusOf(failed), 502);
    const refused = await ask('TRACE', `${host}:${port}`, '/');
    assert.equal(statusOf(refused), 400);
    answers.push(failed, refused);
  }
  const unfit = await ask('GET', `unfit.localhost:${port}`, '/');
  assert.match(unfit, /credential-unavailable/);
  await gateway.logged(/a secret cannot be had/);
  answers.push(unfit);
  const ids = await ended(gateway, answers.length);
  const pages = ['/metrics', '/v1/status', '/v1/audit/tail?n=1000'];
  const told = new Map<string, string>([['answers', answers.join('\n')]]);
  for (const page of [...pages, ...ids.map((id) => `/v1/why/${id}`)]) {
    told.set(page, await gateway.page(page));
  }
  const own = await ask('GET', 'sekisho.internal', `/v1/why/${ids.at(-1)}`);
  assert.equal(statusOf(own), 200);
  told.set('own page', own);
  const running = processes(gateway.child.pid as number);
  assert.equal(running.length, 3);
  told.set('cmdline', running.map(({ cmdline }) => cmdline).join('\n'));
  const environ = running.map((one) => one.environ);
  gateway.child.kill('SIGTERM');
  await gateway.exited;
  told.set('log', gateway.log.join('\n'));
  const files = contents(join(gateway.dir, 'var'));
  assert.ok(files.some(([name]) => name === 'access.log'));
  for (const [name, text] of files) told.set(name, text);
  for (const [place, text] of told) {
    assert.notEqual(text, '', place);
    for (const secret of ALL) assert.ok(!tells(text, secret), `${place}: ${text}`);
  }
  // Whoever was given a secret by the environment has it there, and nobody can take it out.
  for (const text of environ) {
    const found = ALL.filter((secret) => tells(text, secret));
    assert.deepEqual(found, [SECRETS['env.localhost']]);
  }
});
