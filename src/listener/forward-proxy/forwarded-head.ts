import type { AbsoluteForm } from '../../core/conversation.ts';
import {
  DEFAULT_PORTS,
  type Destination,
  destinationText,
  hostText,
  overTls,
} from '../../core/destination.ts';
import type { HeadChanges } from '../../core/injection.ts';
import type { OnwardTrace } from '../../core/trace-context.ts';
import type { Fields } from '../../wire/http1/fields.ts';
import type { Framing } from '../../wire/http1/framing.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { ResponseHead } from '../../wire/http1/response-head.ts';
import { HeadWriter } from '../../wire/http1/writer.ts';
import type { Target } from './target.ts';
import { takesTrailers } from './trailers.ts';
import { asksForWebSocket } from './upgrade.ts';
import { viaEntry } from './via.ts';

// RFC 9110 7.6.1, and what describes the framing: that is always written anew from what was read.
const PER_HOP: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const CONNECTION_SCHEMES = /^(?:ntlm|negotiate)\b/i;

/** Whether a server may take the connection, not the request, for one user's (NTLM, RFC 4559): nobody else is given it. */
export function isBoundToUser(request: RequestHead, response: ResponseHead): boolean {
  return (
    request.fields.values('authorization').some((value) => CONNECTION_SCHEMES.test(value)) ||
    response.fields.values('www-authenticate').some((value) => CONNECTION_SCHEMES.test(value))
  );
}

/** How a request goes on. */
export interface Onward {
  /** Lower-case names that principals are recognised by: they must never reach a destination. */
  readonly identityHeaders: ReadonlySet<string>;
  /** undefined: it keeps the trace context that it came with. */
  readonly trace: OnwardTrace | undefined;
  /** This gateway's pseudonym. */
  readonly via: string;
  /** What the request came in, where that was not HTTP/1. */
  readonly protocol: 'h2' | undefined;
  /** Present where a parent proxy takes the request. */
  readonly absolute: AbsoluteForm | undefined;
  /** Present where the request takes on a credential: then it goes over TLS. */
  readonly injection: OnwardInjection | undefined;
}

/** What a credential makes of a head. */
export interface OnwardInjection {
  readonly changes: HeadChanges;
  drops(lowerName: string): boolean;
}

/** Which of the client's fields do not go on, by their names in lower case, whatever a credential makes of the rest. */
export function dropsFrom(
  head: RequestHead,
  { identityHeaders, trace }: Pick<Onward, 'identityHeaders' | 'trace'>,
): (lowerName: string) => boolean {
  const named = connectionNamed(head.fields);
  return (name) =>
    PER_HOP.has(name) ||
    name === 'host' ||
    name.startsWith('proxy-') ||
    identityHeaders.has(name) ||
    named.has(name) ||
    (trace?.keepsState === false && name === 'tracestate');
}

/**
 * The head that goes upstream: raw fields in their order, without what was meant for this hop or tells who the caller
 * is, with Host rebuilt from the destination that was decided on.
 *
 * Towards a parent proxy that takes the request itself it is in absolute form (RFC 9112 3.2.2), with what that proxy
 * knows the gateway by.
 */
export function requestHead(
  head: RequestHead,
  target: Target,
  framing: Framing,
  onward: Onward,
): Buffer {
  const { trace, via, protocol, absolute, injection } = onward;
  const drops = dropsFrom(head, onward);
  const form = absolute === undefined ? target.originForm : absoluteForm(target);
  const writer = new HeadWriter(`${head.method} ${injection?.changes.target ?? form} HTTP/1.1`);
  absolute?.authorize(writer);
  if (injection === undefined) {
    writer.set('Host', authorityOf(target.destination)).keep(head.fields, drops);
  } else {
    writer.set('Host', authorityOf(overTls(target.destination)));
    writer.keep(head.fields, (name) => drops(name) || injection.drops(name));
    // What comes back has to be read.
    writer.set('Accept-Encoding', 'identity');
    if (head.fields.has('grpc-accept-encoding')) writer.set('grpc-accept-encoding', 'identity');
    for (const [name, value] of injection.changes.set) writer.set(name, value);
  }
  setFraming(writer, framing);
  if (asksForWebSocket(head)) setUpgrade(writer);
  // RFC 9110 10.1.4: named in Connection, since it is for the next hop alone.
  else if (takesTrailers(head)) writer.set('Connection', 'TE').set('TE', 'trailers');
  if (trace !== undefined) writer.set('traceparent', trace.traceparent);
  return writer.add('Via', viaEntry(head, protocol, via)).toBuffer();
}

/** Which fields of a response do not go on, by their names in lower case. */
export function dropsFromResponse(
  { fields }: ResponseHead,
  keepLength = false,
  decoded = false,
): (lowerName: string) => boolean {
  const named = connectionNamed(fields);
  return (name) =>
    (PER_HOP.has(name) && !(keepLength && name === 'content-length')) ||
    name.startsWith('proxy-') ||
    (decoded && name === 'content-encoding') ||
    // A destination must not pass its answer off as a refusal of ours.
    name.startsWith('sekisho-') ||
    named.has(name);
}

/**
 * The head that goes back to the client.
 *
 * @param framing how the body goes to the client, which may differ from how it came
 * @param connection what to say of this hop; undefined: nothing, for HTTP/1.1 that stays open
 * @param hop this gateway's pseudonym, and what the response came in, where that was not HTTP/1
 * @param decoded whether the coding of the body is undone
 */
export function responseHead(
  head: ResponseHead,
  framing: Framing,
  connection: 'close' | 'keep-alive' | 'upgrade' | undefined,
  hop: { readonly via: string; readonly protocol: 'h2' | undefined },
  decoded = false,
): Buffer {
  // A response without body (HEAD, 304) may tell the length that a GET would have.
  const drop = dropsFromResponse(head, framing.kind === 'none', decoded);
  const writer = new HeadWriter(`HTTP/1.1 ${head.status} ${head.phrase}`).keep(head.fields, drop);
  setFraming(writer, framing);
  if (connection === 'upgrade') setUpgrade(writer);
  else if (connection !== undefined) writer.set('Connection', connection);
  return writer.add('Via', viaEntry(head, hop.protocol, hop.via)).toBuffer();
}

function absoluteForm(target: Target): string {
  const origin = `http://${authorityOf(target.destination)}`;
  // RFC 9112 3.2.4: what asks about the server as a whole has no path.
  return target.originForm === '*' ? origin : `${origin}${target.originForm}`;
}

/** As it stands in Host: without a port that the scheme says. */
export function authorityOf(destination: Destination): string {
  return destination.port === DEFAULT_PORTS[destination.scheme]
    ? hostText(destination.host)
    : destinationText(destination);
}

const NONE: ReadonlySet<string> = new Set();

function connectionNamed(fields: Fields): ReadonlySet<string> {
  const named = fields.list('connection');
  // What is named most goes no further anyway.
  const isCommon = named.length === 1 && named[0] === 'keep-alive';
  return named.length === 0 || isCommon ? NONE : new Set(named);
}

function setFraming(writer: HeadWriter, framing: Framing): void {
  if (framing.kind === 'length') writer.set('Content-Length', String(framing.length));
  if (framing.kind === 'chunked') writer.set('Transfer-Encoding', 'chunked');
}

function setUpgrade(writer: HeadWriter): void {
  writer.set('Connection', 'Upgrade').set('Upgrade', 'websocket');
}
