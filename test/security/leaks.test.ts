import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { request, Agent as UndiciAgent } from 'undici';
import { functionTransport } from '../../src/client/index.ts';
import { startAgent } from '../support/agent.ts';
import { accessDenied } from '../support/aws/aws-error.ts';
import { RawClient, statusOf } from '../support/clients.ts';
import { bodyOf, TOKEN } from '../support/credential-gateway.ts';
import { deploySigning } from '../support/deployed-function.ts';
import {
  ALL_SECRETS,
  BETWEEN,
  echoOf,
  everyRule,
  hostOf,
  KINDS,
  OF_THE_ENVIRONMENT,
  startEveryHost,
} from '../support/every-credential.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { openSession } from '../support/intercept-gateway.ts';
import { needs } from '../support/programs.ts';
import { ECHOES, tells } from '../support/secret-echoes.ts';

const WORKLOAD = 'sesame';
const skip = process.platform !== 'linux' && 'needs /proc';

const POLICY = `
gateway: { workers: 2, log: debug, drain: { notice: 0s, limit: 1s } }
audit: { also: [{ squidLog: var/access.log }] }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { fn: { identify: [{ header: { name: X-Workload, value: { file: workload.txt } } }] } }
`;

async function startAll(t: TestContext) {
  const { port, env, files } = await startEveryHost(t);
  const gateway = await startGatewayProcess(t, `${POLICY}${everyRule(port)}`, {
    env,
    files: { ...files, 'workload.txt': WORKLOAD },
  });
  const head = (line: string, authority: string, headers: readonly string[]) =>
    [
      `${line} HTTP/1.1`,
      `Host: ${authority}`,
      `X-Workload: ${WORKLOAD}`,
      'Connection: close',
      ...headers,
      '',
      '',
    ].join('\r\n');
  const ca = readFileSync(join(gateway.dir, 'var/intercept-ca.crt'), 'utf8');
  return {
    gateway,
    authorityOf: (name: string) => `${hostOf(name)}:${port}`,
    ask: (method: string, authority: string, path: string, ...headers: string[]) =>
      new RawClient(gateway.port)
        .send(head(`${method} http://${authority}${path}`, authority, headers))
        .all(),
    async askInside(authority: string, path: string) {
      const servername = authority.split(':')[0] as string;
      const secure = await openSession({ port: gateway.port, authority, ca }, { servername });
      const pieces: Buffer[] = [];
      secure.on('data', (piece: Buffer) => pieces.push(piece));
      secure.write(head(`GET ${path}`, authority, []));
      await once(secure, 'end');
      secure.destroy();
      return Buffer.concat(pieces).toString('latin1');
    },
  };
}

/** Ids of exchanges, once so many have ended. */
async function ended(gateway: GatewayProcess, count: number): Promise<string[]> {
  for (;;) {
    const tail = await gateway.page('/v1/audit/tail?n=1000&types=outcome');
    const ids = tail.split('\n').flatMap((line) => /"id":"([^"]+)"/.exec(line)?.[1] ?? []);
    if (ids.length >= count) return ids;
  }
}

interface Running {
  readonly environ: string;
  readonly cmdline: string;
}

/** Of processes: what was theirs at the start, for whoever may read it. */
function processes(fits: (ids: { parent: number; group: number }) => boolean): Running[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const read = (name: string) => readFileSync(join('/proc', pid, name), 'latin1');
    try {
      const [, parent, group] = read('stat')
        .replace(/^.*\) /s, '')
        .split(' ')
        .map(Number);
      if (!fits({ parent: parent as number, group: group as number })) return [];
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

function assertTellsNothing(told: ReadonlyMap<string, string>): void {
  for (const [place, text] of told) {
    assert.notEqual(text, '', place);
    for (const secret of ALL_SECRETS) assert.ok(!tells(text, secret), `${place}: ${text}`);
  }
}

/** A body in which every echo has become stars. @param echo what the destination sent */
function assertMasked(body: string, echo: string, what: string): void {
  assert.equal(body.length, echo.length, what);
  for (const one of body.split(BETWEEN)) assert.match(one, /\*{20}/, `${what}: ${body}`);
}

test('what looks for a secret finds it in every encoding', () => {
  for (const [name, echo] of Object.entries(ECHOES)) {
    for (const secret of ALL_SECRETS) {
      assert.ok(tells(`<${echo(secret)}>`, secret), name);
      assert.ok(tells(JSON.stringify(`<${echo(secret)}>`), secret), `${name}, quoted`);
    }
  }
});

test('a secret is nowhere but on its way: answers, errors, log, record, metrics, admin API, processes', {
  skip,
}, async (t) => {
  const { gateway, ask, askInside, authorityOf } = await startAll(t);
  const answers: string[] = [];
  for (const name of Object.keys(KINDS)) {
    const authority = authorityOf(name);
    const told = await ask('GET', authority, '/me?page=1');
    const inside = await askInside(authority, '/me?page=1');
    for (const answer of [told, inside]) {
      assert.match(answer, /^HTTP\/1\.1 103 [\s\S]*\r\nHTTP\/1\.1 200 .*\*{20}/, name);
      // Without the lengths of chunks, by which an echo would be in pieces.
      const body = bodyOf(answer.slice(answer.indexOf('HTTP/1.1 200')));
      assertMasked(body, echoOf(name), name);
      answers.push(`${answer}${body}`);
    }
    const failed = await ask('GET', authority, '/', 'X-Echo-In: status');
    assert.equal(statusOf(failed), 502);
    const refused = await ask('TRACE', authority, '/');
    assert.equal(statusOf(refused), 400);
    answers.push(failed, refused);
  }
  for (const name of ['unfit', 'refused']) {
    const answer = await ask('GET', authorityOf(name), '/');
    assert.match(answer, /credential-unavailable/);
    await gateway.logged(
      new RegExp(`"secret":"(?:ssm /unfit|oauth2 ${name}).*a secret cannot be had`),
    );
    answers.push(answer);
  }
  const ids = await ended(gateway, answers.length);
  const pages = ['/metrics', '/v1/status', '/v1/audit/tail?n=1000'];
  const told = new Map<string, string>([['answers', answers.join('\n')]]);
  for (const page of [...pages, ...ids.map((id) => `/v1/why/${id}`)]) {
    told.set(page, await gateway.page(page));
  }
  const own = await ask('GET', 'sekisho.internal', `/v1/why/${ids.at(-1)}`);
  assert.equal(statusOf(own), 200);
  told.set('own page', own);
  const running = processes(({ group }) => group === gateway.child.pid);
  assert.equal(running.length, 3);
  told.set('cmdline', running.map(({ cmdline }) => cmdline).join('\n'));
  gateway.child.kill('SIGTERM');
  await gateway.exited;
  told.set('log', gateway.log.join('\n'));
  const files = contents(join(gateway.dir, 'var'));
  assert.ok(files.some(([name]) => name === 'access.log'));
  for (const [name, text] of files) told.set(name, text);
  assertTellsNothing(told);
  // Whoever was given a secret by the environment has it there, and nobody can take it out.
  for (const { environ } of running) {
    const found = ALL_SECRETS.filter((secret) => tells(environ, secret));
    assert.deepEqual(new Set(found), new Set(OF_THE_ENVIRONMENT));
  }
});

const FORMS = Object.values(ECHOES).map((echo) => echo(TOKEN));

test('behind an agent, a function and the client library it is nowhere either', {
  skip: skip || needs('unzip'),
}, async (t) => {
  const deployed = await deploySigning(t, {
    more: 'gateway: { log: debug }',
    answer: (request, socket) => {
      if (!tells(request, TOKEN)) return void socket.destroy();
      const echo = FORMS.join(BETWEEN);
      const wrong = request.startsWith('GET /status ');
      if (wrong) return void socket.end(`HTTP/1.1 ${echo} bad\r\n\r\n`);
      socket.end(`HTTP/1.1 200 ${echo}\r\nX-Echo: ${echo}\r\n\r\n${echo}`);
    },
  });
  const { authority, lambda, aws } = deployed;
  const agent = await startAgent(t, lambda.env());
  const answers: string[] = [];
  const ask = async (path: string) => {
    const lines = [`GET http://${authority}${path} HTTP/1.0`, `Host: ${authority}`, '', ''];
    const answer = await new RawClient(agent.port).send(lines.join('\r\n')).all();
    answers.push(answer);
    return answer;
  };
  aws.disturbances.fail('GetParameter', accessDenied('arn:aws:iam::1:role/sign', 'ssm:Get', 'x'));
  assert.match(await ask('/'), /credential-unavailable/);
  aws.disturbances.heal();
  assertMasked(bodyOf(await ask('/')), FORMS.join(BETWEEN), 'agent');
  assert.equal(statusOf(await ask('/status')), 502);
  const transport = functionTransport({ functionName: 'sign', env: lambda.env() });
  t.after(() => transport.close());
  const dispatcher = new UndiciAgent({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
  const { headers, body } = await request(`https://${authority}/`, { dispatcher });
  const text = await body.text();
  assertMasked(text, FORMS.join(BETWEEN), 'client library');
  answers.push(`${JSON.stringify(headers)}${text}`);
  const running = processes(({ parent }) => parent === process.pid);
  assert.ok(running.length >= 2, 'the agent, and the process of the function');
  const told = new Map([
    ['answers', answers.join('\n')],
    ['agent', agent.log()],
    ['function', deployed.logs.join('')],
    ['cmdline', running.map(({ cmdline }) => cmdline).join('\n')],
    ['environ', running.map(({ environ }) => environ).join('\n')],
  ]);
  for (const [place, said] of told) {
    assert.notEqual(said, '', place);
    assert.ok(!tells(said, TOKEN), `${place}: ${said}`);
  }
});
