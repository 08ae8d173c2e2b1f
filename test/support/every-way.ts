/**
 * Asks an API by every way there is, with nothing but what a workload has. Runs in a namespace in which `api.github.com` leads
 * elsewhere, to an API that takes the right token only:
 *
 *     node every-way.ts prefix|policy FOLDER     (sign.zip taken apart; NODE_EXTRA_CA_CERTS)
 *
 * Prints a Report.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent as Dispatcher, fetch } from 'undici';
import { FunctionCaller } from '../../src/client/function-caller.ts';
import { functionTransport } from '../../src/client/index.ts';
import { FORMATS } from '../../src/wire/lambda-events/formats.ts';
import { startAgent } from './agent.ts';
import { ADMIN, startFakeAws } from './aws/fake-aws.ts';
import { Functions } from './aws/lambda.ts';
import { ParameterStore } from './aws/ssm.ts';
import { run } from './clients.ts';
import { TOKEN } from './credential-gateway.ts';
import { hostSigning } from './deployed-function.ts';
import { startTestGateway } from './gateway.ts';
import { identityWith, statements } from './statements.ts';

export interface Report {
  /** What each way gave: its status and body. */
  readonly answers: Readonly<Record<string, string>>;
  /** All that the token must not be in. */
  readonly artefacts: Readonly<Record<string, string>>;
  /** What the function called of AWS. */
  readonly calls: readonly string[];
}

export type Mode = 'prefix' | 'policy';

const POLICY_PARAMETER = '/sekisho/policy';
const PATHS = ', methods: [GET], paths: [/user, /repos/**]';

const CREDENTIAL: Readonly<Record<Mode, string>> = {
  prefix: 'convention: parameter-store, prefix: /production',
  policy: 'for: api.github.com, header: { Authorization: ["token ", { ssm: /github }] }',
};

const policyOf = (mode: Mode, invoker: string, more: string) => `version: 1
principals: { invoker: { identify: [{ clientAddress: ${invoker} }] } }
rules: [{ name: github, allow: [invoker], to: [api.github.com], with: stored ${more} }]
credentials: { stored: { ${CREDENTIAL[mode]} } }
`;

/** As a balancer sends it: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html */
const albEvent = (path: string) => ({
  requestContext: {
    elb: {
      targetGroupArn:
        'arn:aws:elasticloadbalancing:ap-northeast-1:123456789012:targetgroup/my-target-group/6d0ecf831eec9f09',
    },
  },
  httpMethod: 'GET',
  path,
  queryStringParameters: { page: '2' },
  headers: {
    accept: 'application/json',
    authorization: 'token of-the-client',
    host: 'api.github.com',
    'x-amzn-trace-id': 'Root=1-5bdb40ca-556d8b0c50dc66f0511bf520',
    'x-forwarded-for': '72.21.198.66',
    'x-forwarded-port': '443',
    'x-forwarded-proto': 'https',
  },
  body: '',
  isBase64Encoded: false,
});

const ends: (() => unknown)[] = [];
const t = { after: (end: () => unknown) => void ends.push(end) };

/** The function as it is deployed, with the rights that it is told to have. */
async function deploy(mode: Mode, folder: string) {
  const parameters = new ParameterStore();
  parameters.put('/github', TOKEN);
  parameters.put('/production/api.github.com/headers/Authorization', `token ${TOKEN}`);
  parameters.put(POLICY_PARAMETER, policyOf(mode, '["0.0.0.0/0"]', PATHS), 'String');
  const functions = new Functions();
  const aws = await startFakeAws([parameters.service, functions.service]);
  t.after(aws.close);
  const [settings, args] =
    mode === 'prefix'
      ? [{ SSM_SIGN_PROXY_PREFIX: '/production' }, ['--prefix', '/production']]
      : [
          { SEKISHO_POLICY_PARAMETER: POLICY_PARAMETER },
          ['-c', 'stored.yaml', '--policy-parameter', POLICY_PARAMETER],
        ];
  const role = identityWith('sign', await statements(['sign', ...args], folder));
  const caller = identityWith('caller', await statements(['invoke', '--function', 'sign'], folder));
  aws.know(role);
  aws.know(caller);
  const env = {
    ...aws.env(role),
    ...settings,
    NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
  };
  const { host, logs } = hostSigning(folder, env, 2);
  t.after(() => host.stop());
  functions.add('sign', (payload) => host.invoke(payload));
  const called = () =>
    aws.calls
      .filter(({ identity }) => identity.accessKeyId === role.accessKeyId)
      .map(({ operation }) => operation);
  return { aws, callerEnv: aws.env(caller), logs, called };
}

async function startGateway(mode: Mode, env: Record<string, string>) {
  const text = policyOf(mode, '[127.0.0.1]', `, intercept: true ${PATHS}`);
  const gateway = await startTestGateway(
    `gateway: { log: debug }\n${text.replace('version: 1\n', '')}listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }\n`,
    { env },
  );
  t.after(() => gateway.stop());
  return gateway;
}

/** Verbose, so that all that a client is told is looked through. */
async function curl(...args: readonly string[]) {
  const { stdout, stderr } = await run('curl', ['-sS', '-v', '-w', '%{http_code} ', ...args]);
  const [, status] = /(\d{3}) $/.exec(stdout) ?? [];
  return { answer: `${status} ${stdout.replace(/\d{3} $/, '')}`, seen: stderr };
}

/** What every process below this one was given, and is called by. */
function processes(): string {
  const children = (pid: string): string[] =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
    );
  const below = (pid: string): string[] => children(pid).flatMap((one) => [one, ...below(one)]);
  const told = (pid: string) =>
    ['environ', 'cmdline'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1')).join('\n');
  return below(String(process.pid)).map(told).join('\n');
}

async function report(mode: Mode, folder: string): Promise<Report> {
  const { aws, callerEnv, logs, called } = await deploy(mode, folder);
  const gateway = await startGateway(mode, aws.env(ADMIN));
  const agent = await startAgent(t, callerEnv);
  const caFile = join(gateway.dir, 'var', 'intercept-ca.crt');
  const caller = new FunctionCaller({ functionName: 'sign', env: callerEnv }, FORMATS.alb);
  t.after(() => caller.close());
  const transport = functionTransport({ functionName: 'sign', env: callerEnv });
  const dispatcher = new Dispatcher({ connect: transport.connector as never });
  t.after(() => dispatcher.close());
  t.after(() => transport.close());

  const own = ['-H', 'Authorization: token of-the-client'];
  const proxied = ['-x', gateway.proxyUrl, ...own];
  const byAgent = ['-x', `http://127.0.0.1:${agent.port}`, ...own];
  const direct = await curl(
    '--cacert',
    process.env.NODE_EXTRA_CA_CERTS ?? '',
    ...own,
    url('https', '/user'),
  );
  const http = await curl(...proxied, url('http', '/user'));
  const https = await curl(...proxied, '--cacert', caFile, url('https', '/user'));
  const refused = await curl(...byAgent, url('http', '/gists'));
  const daemon = await curl(...byAgent, url('http', '/repos/acme/x'));
  const invoked = await caller.invoke(Buffer.from(JSON.stringify(albEvent('/repos/acme/x'))));
  const { statusCode, body } = JSON.parse(invoked);
  const fetched = await fetch(url('https', '/user'), { dispatcher });
  const library = `${fetched.status} ${await fetched.text()}`;
  return {
    answers: {
      direct: direct.answer,
      'http-proxy': http.answer,
      intercept: https.answer,
      event: `${statusCode} ${body}`,
      agent: daemon.answer,
      client: library,
      'agent, no rule': refused.answer.slice(0, 4),
    },
    artefacts: {
      curl: [http, https, daemon, refused].map(({ seen }) => seen).join('\n'),
      response: invoked,
      cookies: JSON.stringify([...fetched.headers]),
      agent: agent.log(),
      function: logs.join(''),
      gateway: gateway.log(),
      audit: await gateway.recorded(),
      processes: processes(),
    },
    calls: [...new Set(called())].sort(),
  };
}

const url = (scheme: string, path: string) => `${scheme}://api.github.com${path}`;

const [, , mode, folder] = process.argv;
if (mode !== undefined && folder !== undefined) {
  try {
    const told = await report(mode as Mode, folder);
    process.stdout.write(JSON.stringify(told));
  } finally {
    for (const end of ends.reverse()) await end();
  }
}
