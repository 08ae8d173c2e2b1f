/** What every peer is set up for: the same work, under the same conditions. */
export interface Site {
  /** A folder of its own, gone after the run. */
  readonly dir: string;
  /** Of nginx, which answers small pages. */
  readonly httpPort: number;
  /** Of the same pages over TLS, for requests that carry the token. */
  readonly httpsPort: number;
  /** PEM of the CA that alone vouches for them. */
  readonly caFile: string;
  /** Of what the tunnels lead to. */
  readonly tunnelPort: number;
  /** How many hosts the policy lets through. */
  readonly rules: number;
  /** Whether what comes through a tunnel has to begin with a ClientHello that names the host. */
  readonly checked: boolean;
  /** Whether plain requests go on over TLS, with the token that clients have not. */
  readonly injects: boolean;
  /** Whether the TLS of tunnels to the pages is opened. */
  readonly intercepts: boolean;
  /** What is looked at from within the processes of a gateway. */
  readonly probe: Probe | undefined;
}

/** How long they stand still, or what is alive in their heaps. */
export type Probe = 'stalls' | 'heaps';

export interface Peer {
  readonly name: string;
  /** Whether its program is here. */
  present(): boolean;
  version(): string;
  start(site: Site): Promise<RunningPeer>;
}

export interface RunningPeer {
  /** The process whose tree is measured; undefined where nothing stands between. */
  readonly pid: number | undefined;
  readonly http: { readonly port: number; readonly request: string };
  /** `head` is empty where a connection is a tunnel. */
  readonly tunnel: { readonly port: number; readonly head: string };
  /** Of a site that intercepts. */
  readonly intercepted?: Intercepted;
  /** Puts another policy in force. Resolves when that is under way. */
  reload?(): Promise<void>;
  /** The longest that a process which serves stood still, in milliseconds, since this was asked last. */
  stall?(): number;
  /** How many connections of clients each of its workers holds, where it can say so. */
  connections?(): Promise<readonly number[]>;
  stop(): Promise<void>;
}

/** How a page is asked for within the TLS of a tunnel. */
export interface Intercepted {
  readonly port: number;
  /** Opens the tunnel. */
  readonly head: string;
  readonly request: string;
  /** Of the CA that the proxy answers by. */
  readonly caFile: string;
}

/** @param caFile of the CA that the proxy answers by */
export function intercepted({ httpsPort }: Site, port: number, caFile: string): Intercepted {
  const request = `GET / HTTP/1.1\r\nHost: ${HOST}:${httpsPort}\r\n\r\n`;
  return { port, head: connectHead(httpsPort), request, caFile };
}

export const HOST = 'localhost';
export const IDENTITY_HEADER = 'X-Bench-Identity';
export const IDENTITY = 'c0ffee00-5eed-4bad-9dea-0123456789ab';
/** What a request over TLS has to carry as `Authorization`. */
export const TOKEN = 'ghp_0AbCdEfGhIjKlMnOpQrStUvWxYz0123456';

/** What peers can read that recognise a header. */
const RECOGNISED = `${IDENTITY_HEADER}: ${IDENTITY}\r\n`;

/** The host that is asked for, among `count - 1` others. */
export function hosts(count: number): string[] {
  return [
    ...Array.from({ length: count - 1 }, (_, i) => `api-${i}.service-${i % 100}.example.com`),
    HOST,
  ];
}

/** For a page; one that is injected asks in clear for what is there over TLS. */
export function pageRequest({ injects, httpPort, httpsPort }: Site): string {
  return proxyRequest(injects ? httpsPort : httpPort);
}

export function proxyRequest(httpPort: number, identity = RECOGNISED): string {
  const authority = `${HOST}:${httpPort}`;
  return `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${identity}\r\n`;
}

export function connectHead(tunnelPort: number, identity = RECOGNISED): string {
  const authority = `${HOST}:${tunnelPort}`;
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${identity}\r\n`;
}
