import type { ReadableRequest } from '../../core/conversation.ts';
import {
  type Authority,
  DEFAULT_PORTS,
  type Destination,
  parseAuthority,
  type Scheme,
  sameHost,
} from '../../core/destination.ts';
import { Refusal } from '../../core/refusal.ts';
import { requestFraming } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';

/** What a request that can be read is asked by. */
type ReadScheme = Exclude<Scheme, 'tunnel'>;

/** What a request head asks for, once target and Host agree. */
export interface Target {
  readonly destination: Destination;
  /** Undefined for CONNECT: what will pass cannot be read. */
  readonly request: ReadableRequest | undefined;
  /** Path and query as they go upstream. */
  readonly originForm: string;
}

/**
 * Reads the target of a request and holds Host against it. Stricter than RFC 9112 3.2.2 on purpose: a proxy that lets
 * the target override Host decides on one name while a lenient upstream may serve the other.
 *
 * @param within the destination of the CONNECT that this request came through, if any: the only one it may name
 * @throws Refusal naming the fault
 */
export function readTarget(head: RequestHead, within?: Destination): Target {
  const host = hostValue(head);
  if (head.method === 'CONNECT') return connectTarget(head, host, within);
  // Inside TLS that was opened.
  const scheme = within?.scheme === 'https' ? 'https' : 'http';
  const target = head.target.startsWith('/')
    ? originTarget(head, host, scheme)
    : absoluteTarget(head, host, scheme);
  if (within !== undefined && !sameEndpoint(target.destination, within)) {
    throw new Refusal(
      'host-mismatch',
      'the request inside the tunnel is for another host than the CONNECT',
    );
  }
  return target;
}

function connectTarget(
  head: RequestHead,
  hostText: string | undefined,
  within?: Destination,
): Target {
  const host = hostText === undefined ? undefined : parseAuthority(hostText);
  if (within !== undefined) throw new Refusal('request-invalid', 'a CONNECT inside a tunnel');
  const authority = parseAuthority(head.target);
  if (authority.port === undefined) throw new Refusal('request-invalid', 'CONNECT needs a port');
  if (host !== undefined) agree(host, authority, authority.port);
  const framing = requestFraming(head);
  if (framing.kind === 'chunked' || (framing.kind === 'length' && framing.length > 0)) {
    throw new Refusal('request-invalid', 'a CONNECT with a body');
  }
  const destination: Destination = { scheme: 'tunnel', host: authority.host, port: authority.port };
  return { destination, request: undefined, originForm: '' };
}

function absoluteTarget(
  head: RequestHead,
  hostText: string | undefined,
  scheme: ReadScheme,
): Target {
  const { target } = head;
  const prefix = `${scheme}://`;
  const behind = target.slice(prefix.length);
  const end = behind.search(/[/?#]/);
  const authorityText = end < 0 ? behind : behind.slice(0, end);
  // What is spelt alike is the same, so that most need not be read twice.
  const isOther = hostText !== undefined && hostText !== authorityText;
  const host = isOther ? parseAuthority(hostText) : undefined;
  if (target.slice(0, prefix.length).toLowerCase() !== prefix) {
    throw new Refusal(
      'request-invalid',
      `the target must be host:port after CONNECT, a path, or begin with ${prefix}`,
    );
  }
  const rest = end < 0 ? '' : behind.slice(end);
  const authority = parseAuthority(authorityText);
  if (host !== undefined) agree(host, authority, DEFAULT_PORTS[scheme]);
  // RFC 9112 3.2.4: what asks about the server as a whole.
  if (rest === '' && head.method === 'OPTIONS') return readableTarget(head, authority, '*', scheme);
  const originForm = rest.startsWith('/') ? rest : `/${rest}`;
  return readableTarget(head, authority, originForm, scheme);
}

function originTarget(head: RequestHead, host: string | undefined, scheme: ReadScheme): Target {
  if (host === undefined) throw new Refusal('request-invalid', 'a path alone needs a Host header');
  return readableTarget(head, parseAuthority(host), head.target, scheme);
}

function readableTarget(
  head: RequestHead,
  authority: Authority,
  originForm: string,
  scheme: ReadScheme,
): Target {
  if (originForm.includes('#')) throw new Refusal('request-invalid', 'the target has a fragment');
  const query = originForm.indexOf('?');
  return {
    destination: {
      scheme,
      host: authority.host,
      port: authority.port ?? DEFAULT_PORTS[scheme],
    },
    request: { method: head.method, path: query < 0 ? originForm : originForm.slice(0, query) },
    originForm,
  };
}

/** RFC 9112 3.2: exactly one Host on HTTP/1.1. */
function hostValue(head: RequestHead): string | undefined {
  const values = head.fields.values('host');
  if (values.length > 1) throw new Refusal('request-invalid', 'more than one Host header');
  if (values.length === 0 && head.minor === 1) {
    throw new Refusal('request-invalid', 'HTTP/1.1 needs a Host header');
  }
  return values[0];
}

function agree(host: Authority, target: Authority, defaultPort: number): void {
  const samePort = (host.port ?? defaultPort) === (target.port ?? defaultPort);
  if (!sameHost(host.host, target.host) || !samePort) {
    throw new Refusal('host-mismatch', 'the Host header is not the host of the target');
  }
}

function sameEndpoint(a: Destination, b: Destination): boolean {
  return sameHost(a.host, b.host) && a.port === b.port;
}
