import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseAuthority, sameHost } from '../core/destination.ts';
import { Refusal } from '../core/refusal.ts';
import type { EventAnswer, EventRequest, Field } from '../wire/lambda-events/message.ts';
import { CallFailure } from './call-failure.ts';

// RFC 9110 7.6.1, and what frames a message: told anew on every connection.
const PER_HOP =
  /^(?:connection|content-length|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;
/** More does not fit into an event, whatever its form. */
const MOST_BYTES = 6 * 1024 * 1024;

/**
 * A request that came over HTTP, in absolute form as proxies are sent it, or with a path and Host.
 *
 * @throws CallFailure `request-invalid`, `request-too-large`
 */
export async function readRequest(incoming: IncomingMessage): Promise<EventRequest> {
  const { method = '', url = '', rawHeaders, socket } = incoming;
  const headers = pairs(rawHeaders);
  const target = originForm(url, headers);
  const question = target.indexOf('?');
  return {
    method,
    path: question < 0 ? target : target.slice(0, question),
    query: question < 0 ? undefined : target.slice(question + 1),
    headers: withoutHop(headers),
    body: await readBody(incoming),
    client: socket.remoteAddress?.replace(/^::ffff:/, ''),
  };
}

/** @throws CallFailure `function-failed` for an answer that cannot be sent */
export function writeAnswer(
  response: ServerResponse,
  { status, headers, body }: EventAnswer,
  method: string | undefined,
): void {
  if (status < 200) throw new CallFailure('function-failed', `an answer with the status ${status}`);
  const named = withoutHop(headers).flat();
  const told = headers.find(([name]) => /^content-length$/i.test(name))?.[1];
  // What a GET would be as long as is the function's to say.
  const length = method === 'HEAD' || status === 304 ? told : String(body.length);
  const framing = length === undefined || status === 204 ? [] : ['Content-Length', length];
  try {
    response.writeHead(status, [...named, ...framing]);
  } catch (error) {
    throw new CallFailure('function-failed', 'an answer with a header that cannot be sent', {
      cause: error,
    });
  }
  response.end(method === 'HEAD' ? undefined : body);
}

/** Path and query; the host of the absolute form must be the one in Host, by which the function goes. */
function originForm(url: string, headers: readonly Field[]): string {
  if (url.startsWith('/')) return url;
  const [, authority, rest = ''] = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url) ?? [];
  if (authority === undefined) throw new CallFailure('request-invalid', 'the target is no URL');
  const host = headers.find(([name]) => /^host$/i.test(name))?.[1] ?? '';
  if (!agree(authority, host)) {
    throw new CallFailure('request-invalid', 'the Host header is not the host of the target');
  }
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function agree(authority: string, host: string): boolean {
  try {
    const [a, b] = [parseAuthority(authority), parseAuthority(host)];
    return sameHost(a.host, b.host) && a.port === b.port;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

function pairs(raw: readonly string[]): Field[] {
  return raw.flatMap((name, i): Field[] => (i % 2 === 0 ? [[name, raw[i + 1] ?? '']] : []));
}

function withoutHop(headers: readonly Field[]): Field[] {
  const named = new Set(
    headers
      .filter(([name]) => /^connection$/i.test(name))
      .flatMap(([, value]) => value.toLowerCase().split(/ *, */)),
  );
  return headers.filter(([name]) => !PER_HOP.test(name) && !named.has(name.toLowerCase()));
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MOST_BYTES) throw new CallFailure('request-too-large', 'a body of more than 6 MB');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
