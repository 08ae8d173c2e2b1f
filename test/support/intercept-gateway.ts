import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type Certificates, createCertificates } from './certificates.ts';
import { RawClient } from './clients.ts';
import { OK, type SecureUpstream, startSecureUpstream, TOKEN } from './credential-gateway.ts';
import { startTestGateway, type TestGateway } from './gateway.ts';

export interface InterceptSetting {
  /** More of the rule `api`, which intercepts. */
  readonly rule?: string;
  /** More principals than `fn`. */
  readonly principals?: string;
  /** More of the listener. */
  readonly listener?: string;
  /** More of the configuration. */
  readonly more?: string;
  /** More rules, each on a line of its own. `PORT` stands for the upstream's. */
  readonly rules?: readonly string[];
  readonly answer?: (request: string, socket: TLSSocket) => void;
  /** What stands for the host; default: an upstream that speaks HTTP/1.1 and answers by `answer`. */
  readonly serve?: (certificates: Certificates) => Promise<SecureUpstream>;
  /** The names that the upstream's certificate is for. */
  readonly names?: readonly string[];
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
  /** Of the section `intercept`; default: the upstream's CA is trusted. */
  readonly intercept?: string;
}

export interface InterceptScene {
  readonly gateway: TestGateway;
  readonly upstream: SecureUpstream;
  /** `api.localhost:PORT`. */
  readonly authority: string;
  /** Of the gateway's own CA. */
  readonly caFile: string;
  readonly ca: string;
  /** CONNECT, answered with 200; TLS has not begun. */
  tunnel(authority?: string): Promise<RawClient>;
  /** A TLS session with the gateway. */
  open(options?: ConnectionOptions): Promise<TLSSocket>;
  /** An HTTP/2 session with the gateway, by Node's own client. @param workload who asks; default: `fn` */
  session(workload?: string): Promise<ClientHttp2Session>;
  /** Sends text within TLS, and gives all that comes back until its end. */
  ask(text: string, options?: ConnectionOptions): Promise<string>;
}

export interface Session {
  readonly port: number;
  readonly authority: string;
  readonly ca: string;
  /** What `X-Workload` says; default: `sesame`. */
  readonly workload?: string | undefined;
}

/** CONNECT, answered with 200; TLS has not begun. */
export async function openTunnel({
  port,
  authority,
  workload = 'sesame',
}: Omit<Session, 'ca'>): Promise<RawClient> {
  const client = new RawClient(port);
  client.send(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nX-Workload: ${workload}\r\n\r\n`,
  );
  await client.until(/^HTTP\/1\.1 200 .*\r\n\r\n$/s);
  client.socket.removeAllListeners('data');
  return client;
}

/** A TLS session with the gateway. */
export async function openSession(
  session: Session,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const { socket } = await openTunnel(session);
  const secure = connect({ socket, ca: session.ca, servername: 'api.localhost', ...options });
  await once(secure, 'secureConnect');
  return secure;
}

/** A GitHub-like API: it takes the right token only. */
export function takesToken(request: string, socket: TLSSocket): void {
  const holds = new RegExp(`^authorization: token ${TOKEN}\r$`, 'im').test(request);
  socket.write(holds ? OK : 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
}

/** A gateway that opens the TLS of tunnels to `api.localhost`, and an upstream over TLS that stands for that host. */
export async function startIntercepting(
  t: TestContext,
  setting: InterceptSetting = {},
): Promise<InterceptScene> {
  const certificates = createCertificates(...(setting.names ?? ['api.localhost']));
  const answer = setting.answer ?? ((_request, socket) => socket.write(OK));
  const serve = setting.serve ?? ((own: Certificates) => startSecureUpstream(own, answer));
  const upstream = await serve(certificates);
  t.after(upstream.close);
  const rules = (setting.rules ?? []).map((rule) => `  - ${rule}\n`).join('');
  const port = String(upstream.port);
  const gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", ${setting.listener ?? ''} } }
principals: { fn: { identify: [{ header: { name: X-Workload, value: { env: WORKLOAD } } }, { basic: { username: fn, password: { env: WORKLOAD } } }] }, ${setting.principals ?? ''} }
rules:
  - { name: api, allow: [fn], to: [api.localhost], ports: [${port}], addresses: [127.0.0.1], intercept: true ${setting.rule ?? ''} }
${rules.replaceAll('PORT', port)}
intercept: ${setting.intercept ?? '{ alsoTrust: { file: ca.pem } }'}
${setting.more ?? ''}
`,
    {
      env: { WORKLOAD: 'sesame', TOKEN, ...setting.env },
      files: { 'ca.pem': certificates.ca.toString(), ...setting.files },
    },
  );
  t.after(() => gateway.stop());
  const authority = `api.localhost:${port}`;
  const caFile = join(gateway.dir, 'var', 'intercept-ca.crt');
  const ca = await readFile(caFile, 'utf8').catch(() => '');
  const at = { port: gateway.port, authority };
  const tunnel = (to = authority) => openTunnel({ ...at, authority: to });
  const open = async (options: ConnectionOptions = {}, workload?: string) => {
    const secure = await openSession({ ...at, ca, workload }, options);
    t.after(() => secure.destroy());
    return secure;
  };
  return {
    gateway,
    upstream,
    authority,
    caFile,
    ca,
    tunnel,
    open,
    async session(workload) {
      const secure = await open({ ALPNProtocols: ['h2'] }, workload);
      const session = connectHttp2(`https://${authority}`, { createConnection: () => secure });
      t.after(() => session.destroy());
      return session;
    },
    async ask(text, options) {
      const secure = await open(options);
      const pieces: Buffer[] = [];
      secure.on('data', (piece: Buffer) => pieces.push(piece));
      secure.write(text);
      await once(secure, 'end');
      secure.destroy();
      return Buffer.concat(pieces).toString('latin1');
    },
  };
}
