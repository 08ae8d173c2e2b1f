import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificates } from '../certificates.ts';
import { AwsError, internalError, LostAnswer } from './aws-error.ts';
import { Disturbances } from './disturbances.ts';
import type { Call, FakeService, Reply, SignedRequest } from './service.ts';
import { type AwsIdentity, SignatureFault, type Verified, verifySignature } from './sigv4.ts';

export const ADMIN: AwsIdentity = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  arn: 'arn:aws:iam::123456789012:user/admin',
};

export interface FakeAwsOptions {
  readonly identities?: readonly AwsIdentity[];
  /** Milliseconds since the epoch: the clock of AWS. */
  readonly now?: () => number;
  /** Over TLS. */
  readonly certificates?: Certificates;
}

/** Several services of AWS at one endpoint on loopback. A request goes to the one that its signature names. */
export interface FakeAws {
  readonly url: string;
  readonly port: number;
  /** Every call whose signature held, in order. */
  readonly calls: readonly Call[];
  /** What becomes of calls: throttled, denied, broken, held. */
  readonly disturbances: Disturbances;
  /** The environment by which an SDK client finds this endpoint, as this identity. */
  env(identity?: AwsIdentity): Record<string, string>;
  /** How often an operation was called. */
  count(operation: string): number;
  /** Adds an identity, or replaces the one with the same key. */
  know(identity: AwsIdentity): void;
  close(): Promise<void>;
}

export async function startFakeAws(
  services: readonly FakeService[],
  options: FakeAwsOptions = {},
): Promise<FakeAws> {
  const identities = new Map<string, AwsIdentity>();
  for (const one of options.identities ?? [ADMIN]) identities.set(one.accessKeyId, one);
  const now = options.now ?? Date.now;
  const byName = new Map(services.map((service) => [service.name, service]));
  const calls: Call[] = [];
  const disturbances = new Disturbances();
  const listen: RequestListener = async (incoming, response) => {
    const request = await readRequest(incoming);
    if (request === undefined) return;
    const verify = () => verifySignature(request, identities, now());
    const reply = await serve(request, { byName, calls, disturbances, verify });
    if (reply === undefined) response.destroy();
    else send(response, reply);
  };
  const { certificates } = options;
  const server =
    certificates === undefined
      ? createServer(listen)
      : createTlsServer({ cert: certificates.cert, key: certificates.key }, listen);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `${certificates === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  return {
    url,
    port,
    calls,
    disturbances,
    env: (identity = ADMIN) => clientEnvironment(url, identity),
    count: (operation) => calls.filter((call) => call.operation === operation).length,
    know: (identity) => identities.set(identity.accessKeyId, identity),
    async close() {
      disturbances.release();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

interface Endpoint {
  readonly byName: ReadonlyMap<string, FakeService>;
  readonly calls: Call[];
  readonly disturbances: Disturbances;
  /** @throws SignatureFault */
  verify(): Verified;
}

/** @returns undefined where the answer is lost */
async function serve(request: SignedRequest, endpoint: Endpoint): Promise<Reply | undefined> {
  const id = randomUUID();
  const service = endpoint.byName.get(scopeOf(request));
  if (service === undefined) {
    return { status: 403, headers: {}, body: 'the signature names no service that is here' };
  }
  const { name, protocol } = service;
  try {
    const verified = endpoint.verify();
    const { identity, region } = verified;
    const { operation, input } = protocol.read(request);
    const number = endpoint.calls.filter((call) => call.operation === operation).length + 1;
    const call: Call = {
      service: name,
      operation,
      input,
      region,
      identity,
      request,
      verified,
      number,
    };
    endpoint.calls.push(call);
    await endpoint.disturbances.strike(call);
    const run = service.operations[operation];
    if (run === undefined) {
      throw new AwsError('UnknownOperationException', `${name} has no ${operation} here`);
    }
    return protocol.answer(operation, await run(input, call), id);
  } catch (error) {
    if (error instanceof SignatureFault) return protocol.refuse(protocol.signatureError(error), id);
    if (error instanceof AwsError) return protocol.refuse(error, id);
    if (error instanceof LostAnswer) return undefined;
    return protocol.refuse(internalError(), id);
  }
}

/** The service that a signature is for, before anybody knows whether it holds. */
function scopeOf({ headers, url }: SignedRequest): string {
  const credential = /Credential=[^/,]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? '');
  if (credential !== null) return credential[1] as string;
  const inQuery = /[?&]X-Amz-Credential=([^&]*)/.exec(url)?.[1] ?? '';
  return decodeURIComponent(inQuery).split('/')[3] ?? '';
}

/** Undefined where it did not arrive whole. */
async function readRequest(incoming: IncomingMessage): Promise<SignedRequest | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  const { method = '', url = '', headers } = incoming;
  return { method, url, headers, body: Buffer.concat(chunks) };
}

function send(response: ServerResponse, { status, headers, body }: Reply): void {
  response.writeHead(status, headers);
  response.end(body);
}

function clientEnvironment(url: string, identity: AwsIdentity): Record<string, string> {
  const { accessKeyId, secretAccessKey, sessionToken } = identity;
  return {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'ap-northeast-1',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...(sessionToken !== undefined && { AWS_SESSION_TOKEN: sessionToken }),
    // The client's own retries wait.
    AWS_MAX_ATTEMPTS: '1',
    // Nothing of the machine that the test runs on.
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
}
