import { generateKeyPairSync } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { ADMIN, startFakeAws } from './aws/fake-aws.ts';
import { SecretsManager } from './aws/secrets-manager.ts';
import { ParameterStore } from './aws/ssm.ts';
import { createCertificates } from './certificates.ts';
import { startSecureUpstream, TOKEN } from './credential-gateway.ts';
import { ECHOES, tells } from './secret-echoes.ts';
import { startFakeVault } from './vault.ts';

const ISSUER = '127.0.0.1';
/** What stands between the echoes in one answer. */
export const BETWEEN = ';;';

const VAULT_TOKEN = 'hvs.CAESIJlU02LQZq0k-Ew9xwQn3vTgR5mD';
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const APP_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

interface Kind {
  /** What the host is sent, or knows all the same, and says again. */
  readonly echoed: readonly string[];
  /** Whether a request carries the credential. */
  readonly carried: (request: string) => boolean;
  /** As it stands in the configuration, with `ISSUER` for where tokens are issued. */
  readonly written: string;
}

/** A credential whose secret itself is sent. */
function shown(secret: string, written: string): Kind {
  return { echoed: [secret], carried: (request) => tells(request, secret), written };
}

const MANAGER = 'sm_9fQ2/xK+7aB"3dE\\5gH1jL8mN0pR4tV6';
const SSM = 'p/+s"wJalrXUtnFE\\MI/K7MDENG+bPxRf%iCYEXAMPLEKEY';
const ENV = '7123456789:AAF_k-Ql0zVxW9r3tYuIoPaSdFgHjKlZxCv';
const VAULT = 'v4ult-Pa$$w0rd&with=every/thing?in+it';
const CLIENT_SECRET = 'cs~Zx81QmWnEbRvTcYxUzIaOsPdFgHjK';
const ACCESS_TOKEN = 'eyJhbGciOiJub25lIn0.b3JkZXJz.AccessTokenOfOAuth';
const INSTALLATION = 'ghs_16C7e42F292c6912E7710c838347Ae178B4a';
const SIGNING = 'AwSsEcReT+kEy/9876543210zyxwvutsrqponmlk';
const HMAC = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** One of each kind and source, by the host that it is for. */
export const KINDS: Readonly<Record<string, Kind>> = {
  file: shown(TOKEN, 'header: { Authorization: ["token ", { file: token.txt }] }'),
  ssm: shown(SSM, 'query: { key: { ssm: /api } }'),
  env: shown(ENV, 'path: ["/bot", { env: LEAKS_TOKEN }, "{path}"]'),
  manager: shown(MANAGER, 'header: { X-Key: { secretsManager: { id: api, key: token } } }'),
  vault: shown(
    VAULT,
    'basic: { username: bot, password: { vault: { path: secret/api, key: token } } }',
  ),
  oauth: {
    echoed: [ACCESS_TOKEN, CLIENT_SECRET],
    carried: (request) => tells(request, ACCESS_TOKEN),
    written:
      'oauth2: { tokenUrl: "https://ISSUER/token", clientId: orders, clientSecret: { ssm: /oauth } }',
  },
  app: {
    echoed: [INSTALLATION],
    carried: (request) => tells(request, INSTALLATION),
    written:
      'githubApp: { appId: 1, installationId: 2, privateKey: { file: app.pem }, api: "https://ISSUER" }',
  },
  aws: {
    echoed: [SIGNING],
    carried: (request) => /^authorization: AWS4-HMAC-SHA256 Credential=AKIDLEAKS/im.test(request),
    written:
      'sigv4: { service: execute-api, region: r, identity: { accessKeyId: { ssm: /key-id }, secretAccessKey: { ssm: /key } } }',
  },
  hmac: {
    echoed: [HMAC],
    carried: (request) => /^X-Signature: [0-9a-f]{64}\r$/im.test(request),
    written:
      'hmac: { secret: { ssm: /hmac }, sign: "{path}", header: { X-Signature: "{signature}" } }',
  },
};

/** Those that come to nothing, and must be told without a word of what was read. */
const FAILING = {
  unfit: 'header: { X-Key: { ssm: /unfit } }',
  refused:
    'oauth2: { tokenUrl: "https://ISSUER/refused", clientId: orders, clientSecret: { ssm: /oauth }, authenticate: body }',
};
/** Can be put in no header. */
const UNFIT = 'sk_live_51HxQ2eZvKYlo2C0rqTnB7\r\nX-Admin: yes';

/** A piece of a key in PEM is as telling as all of it. */
const keyLines = APP_KEY.split('\n').slice(1, 5);

/** What stands in the environment of a gateway, since it was given it there. */
export const OF_THE_ENVIRONMENT: readonly string[] = [ENV, ADMIN.secretAccessKey, VAULT_TOKEN];

export const ALL_SECRETS: readonly string[] = [
  ...Object.values(KINDS).flatMap(({ echoed }) => echoed),
  ...OF_THE_ENVIRONMENT.slice(1),
  ...keyLines,
  UNFIT.slice(0, 30),
];

export const hostOf = (name: string) => `${name}.localhost`;

/** All that a host knows, in every encoding. */
export function echoOf(name: string): string {
  const secrets = KINDS[name]?.echoed ?? [];
  return Object.values(ECHOES)
    .flatMap((echo) => secrets.map(echo))
    .join(BETWEEN);
}

/** Says again what it was sent: in an interim response, reason, header, body and trailer. */
function answer(request: string, socket: TLSSocket): void {
  const [, name = ''] = /^Host: ([^.]+)/im.exec(request) ?? [];
  if (request.includes(`Host: ${ISSUER}:`)) return issue(request, socket);
  // Whatever did not carry it is not answered, so that nothing passes for want of it.
  if (KINDS[name]?.carried(request) !== true) return void socket.destroy();
  const told = echoOf(name);
  if (/^X-Echo-In: status\r$/im.test(request)) {
    return void socket.end(`HTTP/1.1 ${told} bad\r\n\r\n`);
  }
  socket.write(`HTTP/1.1 103 Early Hints\r\nLink: <${told}>; rel=preload\r\n\r\n`);
  const head = ['Trailer: X-Last', 'Transfer-Encoding: chunked', `X-Echo: ${told}`];
  socket.write(`HTTP/1.1 200 ${told}\r\n${head.join('\r\n')}\r\n\r\n`);
  for (const [piece] of told.matchAll(/.{1,7}/gs)) {
    socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
  }
  socket.write(`0\r\nX-Last: ${told}\r\n\r\n`);
}

/** Issues tokens, or refuses by an error that quotes what it was shown. */
function issue(request: string, socket: TLSSocket): void {
  const [, path = ''] = request.split(' ');
  const body =
    path === '/token'
      ? { access_token: ACCESS_TOKEN, token_type: 'bearer', expires_in: 600 }
      : path === '/refused'
        ? { error: 'invalid_client', error_description: `not ${CLIENT_SECRET}: ${request}` }
        : { token: INSTALLATION, expires_at: new Date(Date.now() + 3_600_000).toISOString() };
  const text = JSON.stringify(body);
  const status = path === '/refused' ? `400 ${CLIENT_SECRET}` : '201 Created';
  socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

/** Hosts that tell all they know, what issues tokens, and where secrets are kept. */
export async function startEveryHost(t: TestContext) {
  const names = [...Object.keys(KINDS), ...Object.keys(FAILING)];
  const certificates = createCertificates(...names.map(hostOf), ISSUER);
  const upstream = await startSecureUpstream(certificates, answer);
  t.after(upstream.close);
  const parameters = new ParameterStore();
  const stored = { '/api': SSM, '/oauth': CLIENT_SECRET, '/key': SIGNING, '/hmac': HMAC };
  for (const [name, value] of Object.entries(stored)) parameters.put(name, value);
  parameters.put('/key-id', 'AKIDLEAKS');
  parameters.put('/unfit', UNFIT);
  const secrets = new SecretsManager();
  secrets.put('api', JSON.stringify({ token: MANAGER }));
  const aws = await startFakeAws([parameters.service, secrets.service]);
  t.after(aws.close);
  const vault = await startFakeVault(VAULT_TOKEN);
  t.after(vault.close);
  vault.put('api', { token: VAULT });
  return {
    port: upstream.port,
    env: { ...aws.env(), LEAKS_TOKEN: ENV, VAULT_ADDR: vault.url, VAULT_TOKEN },
    files: { 'ca.pem': certificates.ca.toString(), 'token.txt': TOKEN, 'app.pem': APP_KEY },
  };
}

/** Rules and credentials of a policy; their names are those of the kinds. */
export function everyRule(port: number): string {
  const written = [
    ...Object.entries(KINDS).map(([name, kind]): [string, string] => [name, kind.written]),
    ...Object.entries(FAILING),
  ];
  const rules = written.map(
    ([name]) =>
      `  - { name: ${name}, allow: [fn], to: [${hostOf(name)}], ports: [${port}], addresses: [127.0.0.1], intercept: true, with: ${name} }`,
  );
  const credentials = written.map(
    ([name, kind]) =>
      `  ${name}: { for: ${hostOf(name)}, tls: { ca: { file: ca.pem } }, ${kind.replace('ISSUER', `${ISSUER}:${port}`)} }`,
  );
  return `rules:\n${rules.join('\n')}\ncredentials:\n${credentials.join('\n')}\n`;
}
