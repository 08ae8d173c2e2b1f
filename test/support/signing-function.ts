import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { OutcomeEvent } from '../../src/audit/event.ts';
import { SigningFunction } from '../../src/lambda/sign/signing-function.ts';
import { createLogger } from '../../src/log.ts';
import { FORMATS, type FormatName } from '../../src/wire/lambda-events/formats.ts';
import type { EventAnswer, EventRequest } from '../../src/wire/lambda-events/message.ts';
import { type FakeAws, startFakeAws } from './aws/fake-aws.ts';
import { ParameterStore } from './aws/ssm.ts';
import { createCertificates } from './certificates.ts';
import { OK, type SecureUpstream, startSecureUpstream, TOKEN } from './credential-gateway.ts';

export const HOST = 'api.localhost';

export interface SigningSetting {
  /** More of the rule. */
  readonly rule?: string;
  /** More of the policy. */
  readonly more?: string;
  readonly env?: Record<string, string>;
  readonly credential?: string;
  /** A loopback address on whose port 443 the API is, in place of a name with another port. */
  readonly address?: string;
  readonly answer?: (request: string, socket: TLSSocket) => void;
}

/** A signing function that knows one host, where that is, and what its token is stored under. */
export interface SigningScene {
  readonly upstream: SecureUpstream;
  readonly aws: FakeAws;
  readonly parameters: ParameterStore;
  /** `api.localhost:PORT`, or the address. */
  readonly authority: string;
  /** The policy, its CA beside it, and the environment by which a function finds both. */
  readonly folder: string;
  readonly env: Record<string, string>;
  /** Every line of the record and the log. */
  readonly printed: readonly string[];
  outcomes(): OutcomeEvent[];
  handle(event: unknown, remainingMs?: number): Promise<unknown>;
  /** Lets time go by for what the function keeps. */
  pass(milliseconds: number): void;
  /** Sends a request in an event of a form, and reads the response in that form. */
  ask(request: Partial<EventRequest>, format?: FormatName): Promise<EventAnswer>;
}

export async function startSigning(
  t: TestContext,
  setting: SigningSetting = {},
): Promise<SigningScene> {
  const { address } = setting;
  const host = address ?? HOST;
  const certificates = createCertificates(host);
  const answer = setting.answer ?? ((_request: string, socket: TLSSocket) => socket.write(OK));
  const upstream = await startSecureUpstream(certificates, answer, {
    host: address ?? '127.0.0.1',
    port: address === undefined ? 0 : 443,
  });
  t.after(upstream.close);
  const parameters = new ParameterStore();
  const aws = await startFakeAws([parameters.service]);
  t.after(aws.close);
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-function-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'ca.pem'), certificates.ca);
  parameters.put('/token', `token ${TOKEN}`);
  const credential =
    setting.credential ?? `for: ${host}, header: { Authorization: { ssm: /token } }`;
  writeFileSync(
    join(folder, 'sekisho.yaml'),
    `version: 1
principals: { invoker: { identify: [{ clientAddress: ["0.0.0.0/0", "::/0"] }] } }
rules:
  - { name: api, allow: [invoker], to: [${host}], ports: [${upstream.port}], addresses: [${address ?? '127.0.0.1'}], with: c ${setting.rule ?? ''} }
credentials: { c: { ${credential}, tls: { ca: { file: ca.pem } } } }
${setting.more ?? ''}
`,
  );
  const env = { ...aws.env(), AWS_LAMBDA_FUNCTION_NAME: 'sign', ...setting.env };
  const printed: string[] = [];
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      printed.push(String(chunk));
      done();
    },
  });
  const log = createLogger(stderr);
  const write = async (line: string) => void printed.push(line);
  let passed = 0;
  const now = () => Date.now() + passed;
  const signing = new SigningFunction({ env, log, folder, write, now });
  const authority = address ?? `${HOST}:${upstream.port}`;
  const handle = (event: unknown, remainingMs = 30_000) =>
    signing.handle(event, { getRemainingTimeInMillis: () => remainingMs });
  return {
    upstream,
    aws,
    parameters,
    authority,
    folder,
    env,
    printed,
    outcomes() {
      return printed
        .map((line) => JSON.parse(line) as OutcomeEvent)
        .filter(({ type }) => type === 'outcome');
    },
    handle,
    pass(milliseconds) {
      passed += milliseconds;
    },
    async ask(request, name = 'signing-proxy') {
      const format = FORMATS[name];
      const event = eventOf(name, { headers: [['Host', authority]], ...request });
      return format.readAnswer(JSON.parse(JSON.stringify(await handle(event))));
    },
  };
}

const PLACE = { requestId: 'r', now: 0, region: 'ap-northeast-1', account: '123456789012' };

export function eventOf(name: FormatName, request: Partial<EventRequest>): unknown {
  const whole: EventRequest = {
    method: 'GET',
    path: '/',
    query: undefined,
    headers: [],
    body: Buffer.alloc(0),
    client: '203.0.113.7',
    ...request,
  };
  return JSON.parse(JSON.stringify(FORMATS[name].writeRequest(whole, PLACE)));
}
