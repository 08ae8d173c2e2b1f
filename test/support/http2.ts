import { once } from 'node:events';
import {
  type ClientHttp2Session,
  createSecureServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Certificates } from './certificates.ts';
import { NOT_REMEMBERED, type SecureUpstream } from './credential-gateway.ts';

export interface Http2Upstream extends SecureUpstream {
  readonly sessions: readonly ServerHttp2Session[];
}

/** An upstream that speaks HTTP/2 alone, and remembers the field lines of each request. */
export async function startHttp2Upstream(
  { cert, key }: Certificates,
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  settings: Settings = {},
): Promise<Http2Upstream> {
  const requests: string[] = [];
  const sessions: ServerHttp2Session[] = [];
  const server = createSecureServer({ cert, key, settings });
  server.on('session', (session) => sessions.push(session));
  const onStream = (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    raw: readonly string[],
  ) => {
    const lines = raw.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`));
    requests.push(lines.join(''));
    stream.on('error', () => {});
    answer(stream, headers);
  };
  server.on('stream', onStream);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    ...NOT_REMEMBERED,
    requests,
    sessions,
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

export interface Http2Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly interim: readonly (number | undefined)[];
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
}

/** One request by Node's own client, and all of its answer. Fails where the stream is reset. */
export async function askHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  const interim: (number | undefined)[] = [];
  let trailers: IncomingHttpHeaders = {};
  stream.on('headers', (head) => interim.push(head[':status']));
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  if (body !== undefined) stream.end(body);
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status'?: number }];
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  if (stream.rstCode !== 0) throw new Error(`reset with code ${stream.rstCode}`);
  const text = Buffer.concat(pieces).toString('latin1');
  return { status: head[':status'], headers: head, interim, body: text, trailers };
}
