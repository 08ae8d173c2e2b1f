import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { type Certificates, createCertificates } from './certificates.ts';
import { RawClient } from './clients.ts';
import { startTestGateway, type TestGateway } from './gateway.ts';
import type { Place } from './upstreams.ts';

export const TOKEN = 'ghp_0AbCdEfGhIjKlMnOpQrStUvWxYz0123456';

/** Of an upstream that does not remember what came. */
export const NOT_REMEMBERED = {
  requests: [],
  received: () => Promise.reject(new TypeError('it does not remember what came')),
};

/** An upstream over TLS that answers each request as the test says, byte for byte. */
export interface SecureUpstream {
  readonly port: number;
  /** The head and body of each request, as they arrived. */
  readonly requests: readonly string[];
  /** All that a connection brought, once it fits. */
  received(fits: RegExp): Promise<string>;
  close(): Promise<void>;
}

const REQUEST = /^[\s\S]*?\r\n\r\n/;

/** @param answer what to write for a request; the connection is closed where it ends with `close` */
export async function startSecureUpstream(
  certificates: Certificates,
  answer: (request: string, socket: TLSSocket) => void,
  place: Place = { host: '127.0.0.1', port: 0 },
  options: TlsOptions = {},
): Promise<SecureUpstream> {
  const requests: string[] = [];
  const arrived = new Map<TLSSocket, string>();
  const waiting = new Set<() => void>();
  const { cert, key } = certificates;
  const sockets = new Set<TLSSocket>();
  const server = createServer({ cert, key, ALPNProtocols: ['http/1.1'], ...options }, (socket) => {
    let received = '';
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      arrived.set(socket, (arrived.get(socket) ?? '') + chunk.toString('latin1'));
      for (const look of waiting) look();
      for (let request = take(); request !== undefined; request = take()) {
        requests.push(request);
        answer(request, socket);
      }
    });
    const take = (): string | undefined => {
      const head = REQUEST.exec(received)?.[0];
      if (head === undefined) return undefined;
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
      if (received.length < head.length + length) return undefined;
      const request = received.slice(0, head.length + length);
      received = received.slice(request.length);
      return request;
    };
  });
  server.listen(place);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    received: (fits) =>
      new Promise((resolve) => {
        const look = () => {
          const found = [...arrived.values()].find((text) => fits.test(text));
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

export interface CredentialSetting {
  /** Of the credential `c`. */
  readonly credential?: string;
  /** More of the rule. */
  readonly rule?: string;
  /** More of the listener. */
  readonly listener?: string;
  /** Beside the configuration. */
  readonly files?: Record<string, string>;
  /** More of the configuration. */
  readonly more?: string;
  readonly env?: Record<string, string>;
  readonly answer?: (request: string, socket: TLSSocket) => void;
  /** The name that the upstream's certificate is for. */
  readonly name?: string;
  /** Of the upstream's TLS. */
  readonly server?: TlsOptions;
}

export interface CredentialScene {
  readonly gateway: TestGateway;
  readonly upstream: SecureUpstream;
  /** `api.localhost:PORT`. */
  readonly authority: string;
  /** Sends a request for that host, and gives the whole answer. */
  ask(request: string, headers?: readonly string[], body?: string): Promise<string>;
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const HEADER = '{ for: api.localhost, header: { Authorization: ["token ", { env: TOKEN }] }, TLS }';

/** A gateway whose requests to `api.localhost` take on a credential, and an upstream that stands for that host. */
export async function startScene(
  t: Pick<TestContext, 'after'>,
  setting: CredentialSetting = {},
): Promise<CredentialScene> {
  const certificates = createCertificates(setting.name ?? 'api.localhost');
  const upstream = await startSecureUpstream(
    certificates,
    setting.answer ?? ((_request, socket) => socket.write(OK)),
    undefined,
    setting.server,
  );
  t.after(upstream.close);
  const credential = (setting.credential ?? HEADER).replace('TLS', 'tls: { ca: { file: ca.pem } }');
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" ${setting.listener ?? ''} } }
principals: { fn: { identify: [{ header: { name: X-Workload, value: { env: WORKLOAD } } }] } }
rules:
  - { name: api, allow: [fn], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1], with: c ${setting.rule ?? ''} }
credentials: { c: ${credential} }
${setting.more ?? ''}
`,
    {
      env: { TOKEN, WORKLOAD: 'sesame', ...setting.env },
      files: { 'ca.pem': certificates.ca.toString(), ...setting.files },
    },
  );
  t.after(() => gateway.stop());
  const authority = `api.localhost:${upstream.port}`;
  return {
    gateway,
    upstream,
    authority,
    async ask(request, headers = [], body = '') {
      const [method = 'GET', path = '/', version = 'HTTP/1.1'] = request.split(' ');
      const length = body === '' ? [] : [`Content-Length: ${body.length}`];
      const lines = [
        `${method} http://${authority}${path} ${version}`,
        `Host: ${authority}`,
        'X-Workload: sesame',
        'Connection: close',
        ...length,
        ...headers,
      ];
      return new RawClient(gateway.port).send(`${lines.join('\r\n')}\r\n\r\n${body}`).all();
    },
  };
}

/** The body of an answer, its chunks put together. */
export function bodyOf(answer: string): string {
  const at = answer.indexOf('\r\n\r\n') + 4;
  const [head, rest] = [answer.slice(0, at), answer.slice(at)];
  if (!/^transfer-encoding: chunked/im.test(head)) return rest;
  let body = '';
  for (let from = 0; ; ) {
    const line = rest.indexOf('\r\n', from);
    const size = Number.parseInt(rest.slice(from, line), 16);
    if (!(size > 0)) return body;
    body += rest.slice(line + 2, line + 2 + size);
    from = line + 2 + size + 2;
  }
}
