import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FunctionHost } from '../../src/lambda/runtime/function-host.ts';
import { startFakeAws } from '../support/aws/fake-aws.ts';
import { Functions } from '../support/aws/lambda.ts';
import { needs, PYTHON } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';

interface Served {
  readonly url: string;
  readonly folder: string;
  write(code: string): void;
  /** Waits until something was printed, and gives all that was. */
  printed(pattern: RegExp): Promise<string>;
  /** All that was printed so far. */
  output(): string;
}

async function serve(
  t: TestContext,
  code: string,
  args: readonly string[] = [],
  { file = 'index.mjs', env = {} as Record<string, string> } = {},
): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-serve-'));
  const path = join(folder, file);
  const write = (text: string) => writeFileSync(path, text);
  write(code);
  chmodSync(path, 0o755);
  const of = args.includes('--function') ? [] : ['--handler', path];
  const child = spawn(
    process.execPath,
    [join(ROOT, 'bin/sekisho.js'), 'lambda', 'serve', ...of, '--bind', '127.0.0.1:0', ...args],
    { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.after(async () => {
    await stop(child);
    rmSync(folder, { recursive: true, force: true });
  });
  const { printed, output } = collect(child);
  const [, url = ''] = /"listening":"(.*?)"/.exec(await printed(/"listening":"/)) ?? [];
  return { url, folder, write, printed, output };
}

function collect(child: ChildProcess): Pick<Served, 'printed' | 'output'> {
  let text = '';
  let more = Promise.withResolvers<void>();
  const wake = () => {
    more.resolve();
    more = Promise.withResolvers();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      text += chunk;
      wake();
    });
  }
  child.on('exit', wake);
  const printed = async (pattern: RegExp) => {
    while (!pattern.test(text)) {
      if (child.exitCode !== null) throw new Error(`it ended: ${text}`);
      await more.promise;
    }
    return text;
  };
  return { printed, output: () => text };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

const CONTEXT = `export const handler = async (event, context) => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ event, context, left: context.getRemainingTimeInMillis(), env: process.env }),
});`;

test('a handler has what Lambda gives it: event, context, environment, and a report', async (t) => {
  const { url, printed, folder } = await serve(t, CONTEXT, [
    ...['--event', 'apigateway-v2', '--timeout', '9', '--memory', '256'],
    ...['--region', 'ap-northeast-1', '--env', 'STAGE=local'],
  ]);
  const answer = await fetch(`${url}/a%20b?x=1&x=2`, {
    method: 'POST',
    body: '{"a":1}',
    headers: { 'content-type': 'application/json', 'x-one': '1' },
  });
  const { event, context, left, env } = JSON.parse(await answer.text());
  assert.equal(event.version, '2.0');
  assert.equal(event.rawPath, '/a%20b');
  assert.deepEqual(event.queryStringParameters, { x: '1,2' });
  assert.equal(event.body, '{"a":1}');
  assert.equal(event.headers['x-one'], '1');
  assert.equal(context.functionName, 'index');
  assert.equal(context.memoryLimitInMB, '256');
  assert.equal(
    context.invokedFunctionArn,
    'arn:aws:lambda:ap-northeast-1:123456789012:function:index',
  );
  assert.match(context.awsRequestId, /^[0-9a-f-]{36}$/);
  assert.ok(left > 0 && left <= 9000);
  assert.equal(env.STAGE, 'local');
  assert.equal(env.AWS_LAMBDA_FUNCTION_NAME, 'index');
  assert.equal(env.LAMBDA_TASK_ROOT, folder);
  assert.equal(env._HANDLER, 'index.handler');
  const log = await printed(/^REPORT .*$/m);
  assert.match(log, /Memory Size: 256 MB\tMax Memory Used: \d+ MB\tInit Duration/);
});

for (const [event, path, status] of [
  ['apigateway-v1', 'httpMethod', 200],
  ['alb', 'headers', 200],
  ['alb-multi-value', 'multiValueHeaders', 200],
] as const) {
  test(`events are of the form ${event} where that is asked for, and responses have to be`, async (t) => {
    const code = `export const handler = async (event) => event.path === '/wrong'
      ? { statusCode: 200, body: 5 }
      : { statusCode: 200, body: JSON.stringify(Object.keys(event)) };`;
    const { url } = await serve(t, code, ['--event', event]);
    const right = await fetch(`${url}/`);
    assert.equal(right.status, status);
    assert.ok((JSON.parse(await right.text()) as string[]).includes(path));
    const wrong = await fetch(`${url}/wrong`);
    assert.equal(wrong.status, 502);
    assert.equal(wrong.headers.get('sekisho-reason'), 'function-failed');
  });
}

test('a function that throws, ends, or takes too long is an answer, and the next event runs', async (t) => {
  const code = `exports.handler = (event, context, callback) => {
    if (event.rawPath === '/throw') throw new TypeError('secret detail');
    if (event.rawPath === '/exit') process.exit(3);
    if (event.rawPath === '/late') return void setTimeout(callback, 60_000);
    if (event.rawPath === '/silent') return;
    callback(null, { statusCode: 200, body: 'called back' });
  };`;
  const { url, printed } = await serve(t, code, ['--timeout', '1'], { file: 'index.cjs' });
  const ask = async (path: string) => {
    const { status, headers } = await fetch(url + path);
    return `${status} ${headers.get('sekisho-reason')}`;
  };
  assert.equal(await ask('/throw'), '502 function-failed');
  assert.equal(await ask('/exit'), '502 function-failed');
  assert.equal(await ask('/late'), '504 function-slow');
  assert.equal(await (await fetch(`${url}/silent`)).text(), 'null');
  assert.equal(await (await fetch(`${url}/`)).text(), 'called back');
  assert.match(await printed(/Runtime\.ExitError/), /Runtime\.ExitError/);
});

const UNCAUGHT = `
interface Event { readonly rawPath: string }
export const handler = async ({ rawPath }: Event): Promise<unknown> => {
  if (rawPath === '/rejects') return new Promise(() => Promise.reject(new RangeError('nobody waits')));
  if (rawPath === '/later') setTimeout(() => { throw new Error('too late'); }, 300);
  return { statusCode: 200, body: 'fine' };
};`;

test('what nobody catches ends the process and is told, and the next event has another; TypeScript runs as it is', async (t) => {
  const { url, printed } = await serve(t, UNCAUGHT, [], { file: 'index.ts' });
  const rejected = await fetch(`${url}/rejects`);
  assert.equal(rejected.headers.get('sekisho-reason'), 'function-failed');
  await printed(/nobody waits/);
  await printed(/Runtime\.UnhandledPromiseRejection/);
  assert.equal(await (await fetch(`${url}/later`)).text(), 'fine');
  await printed(/too late/);
  assert.equal(await (await fetch(url)).text(), 'fine');
});

const WAITS = `exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.rawPath === '/waits';
  setTimeout(() => console.log('last thing at ' + event.rawPath), 50);
  callback(null, { statusCode: 200, body: 'done' });
};`;

test('a handler that calls back is waited for until nothing is left, unless it says otherwise', async (t) => {
  const { url, printed, output } = await serve(t, WAITS, [], { file: 'index.cjs' });
  assert.equal(await (await fetch(`${url}/hurries`)).text(), 'done');
  assert.doesNotMatch(output(), /last thing at \/hurries/);
  assert.equal(await (await fetch(`${url}/waits`)).text(), 'done');
  assert.match(await printed(/END.*\nREPORT.*\n[\s\S]*END/), /last thing at \/waits[\s\S]*END/);
  assert.match(output(), /take none from nodejs24/);
});

test('code that does not load in time is told', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-init-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'index.mjs');
  writeFileSync(file, 'setInterval(() => {}, 1000); await new Promise(() => {});');
  const place = { name: 'slow', region: 'us-east-1', account: '123456789012', env: {} };
  const limits = { timeoutMs: 20_000, initTimeoutMs: 300, memoryMb: 128 };
  const host = new FunctionHost(
    { ...place, ...limits, file, handler: 'handler', print: () => {} },
    1,
  );
  t.after(() => host.stop());
  const invoked = await host.invoke(Buffer.from('{}'));
  assert.equal(invoked?.functionError, 'Unhandled');
  assert.match(String(invoked?.payload), /Sandbox\.Timedout.*not loaded within 0\.30 seconds/);
});

test('a handler that cannot be loaded or found is told', async (t) => {
  const { url, printed } = await serve(t, 'export const other = 1;');
  assert.equal((await fetch(url)).status, 502);
  await printed(/Runtime\.HandlerNotFound/);
});

test('changed code runs from the next event on', async (t) => {
  const of = (text: string) =>
    `export const handler = async () => ({ statusCode: 200, body: '${text}' });`;
  const { url, write, printed } = await serve(t, of('first'));
  assert.equal(await (await fetch(url)).text(), 'first');
  write(of('second'));
  await printed(/later events run the changed code/);
  assert.equal(await (await fetch(url)).text(), 'second');
});

test('more events at a time than may be are told to come again', async (t) => {
  const code = `export const handler = () => new Promise((done) => setTimeout(done, 60_000));`;
  const { url } = await serve(t, code, ['--concurrency', '1', '--timeout', '2']);
  const answers = await Promise.all([fetch(url), fetch(url)]);
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [429, 504]);
  assert.equal(answers.find(({ status }) => status === 429)?.headers.get('retry-after'), '1');
});

const RUNTIME = `#!${PYTHON}
import json, os, urllib.request
api = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/'
while True:
    with urllib.request.urlopen(api + 'next') as next:
        id = next.headers['Lambda-Runtime-Aws-Request-Id']
        event = json.load(next)
    answer = {'statusCode': 200, 'body': 'python ' + event['rawPath']}
    urllib.request.urlopen(api + id + '/response', json.dumps(answer).encode()).read()
`;

test('a program that is a runtime itself is served', { skip: needs('python3') }, async (t) => {
  const { url } = await serve(t, RUNTIME, ['--timeout', '20'], { file: 'bootstrap' });
  assert.equal(await (await fetch(`${url}/x`)).text(), 'python /x');
});

test('a function in AWS is served by Invoke', async (t) => {
  const functions = new Functions();
  functions.add('orders', async (payload) => {
    const { rawPath } = JSON.parse(payload.toString());
    return {
      payload: Buffer.from(JSON.stringify({ statusCode: 201, body: rawPath, cookies: ['a=1'] })),
    };
  });
  const aws = await startFakeAws([functions.service]);
  t.after(aws.close);
  const { url } = await serve(t, '', ['--function', 'orders'], { env: aws.env() });
  const answer = await fetch(`${url}/x`);
  assert.deepEqual([answer.status, await answer.text()], [201, '/x']);
  assert.equal(answer.headers.get('set-cookie'), 'a=1');
});

test('its own log in the folder of the code is told as a change once before an event, and not for ever', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-serve-'));
  const log = join(folder, 'serve.log');
  const path = join(folder, 'index.mjs');
  writeFileSync(path, "export const handler = async () => ({ statusCode: 200, body: 'here' });");
  const out = openSync(log, 'a');
  const child = spawn(
    process.execPath,
    [join(ROOT, 'bin/sekisho.js'), 'lambda', 'serve', '--handler', path, '--bind', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.after(async () => {
    await stop(child);
    closeSync(out);
    rmSync(folder, { recursive: true, force: true });
  });
  // What a shell does by `> serve.log 2>&1`, and still to be waited for.
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => writeSync(out, chunk));
  }
  const { printed } = collect(child);
  const [, url = ''] = /"listening":"(.*?)"/.exec(await printed(/"listening":"/)) ?? [];
  for (let i = 0; i < 3; i++) assert.equal(await (await fetch(url)).text(), 'here');
  const told = readFileSync(log, 'utf8').match(/later events run the changed code/g) ?? [];
  assert.ok(told.length <= 4, `told ${told.length} times`);
});

test('a file that is not there is wrong usage', async (t) => {
  const child = spawn(
    process.execPath,
    [join(ROOT, 'bin/sekisho.js'), 'lambda', 'serve', '--handler', './nope.mjs#handler'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.after(() => stop(child));
  const { printed } = collect(child);
  await printed(/there is no .*nope\.mjs; --handler takes FILE#EXPORT/);
});
