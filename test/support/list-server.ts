import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createProxy } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import type { TestContext } from 'node:test';
import { createCertificates } from './certificates.ts';

/** Publishes whatever a test has it publish. */
export interface ListServer {
  readonly url: string;
  readonly ca: string;
  readonly requests: IncomingMessage[];
  answer: (request: IncomingMessage, response: ServerResponse) => void;
}

const certificates = createCertificates(
  '127.0.0.1',
  'ip-ranges.amazonaws.com',
  'sns.us-east-1.amazonaws.com',
);

export async function startListServer(t: TestContext): Promise<ListServer> {
  const { cert, key } = certificates;
  const server = createServer({ cert, key }, (request, response) => {
    lists.requests.push(request);
    lists.answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const lists: ListServer = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/list`,
    ca: certificates.ca.toString(),
    requests: [],
    answer: (_request, response) => response.end(),
  };
  return lists;
}

/** Answers with this text, and with 304 to whoever has it. */
export function publish(text: string, headers: Record<string, string> = {}): ListServer['answer'] {
  return (request, response) => {
    const { etag } = headers;
    if (etag !== undefined && request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    const length = String(Buffer.byteLength(text));
    response.writeHead(200, { 'content-length': length, ...headers }).end(text);
  };
}

/** A proxy that tells whither it was asked to lead. @param always where it leads instead */
export async function startTunnelProxy(
  t: TestContext,
  always?: URL,
): Promise<{ url: string; led: string[] }> {
  const led: string[] = [];
  const proxy = createProxy().on('connect', (request, client) => {
    led.push(request.url ?? '');
    const [host, port] = (always?.host ?? request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) socket.on('error', () => upstream.destroy());
    client.on('close', () => upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, led };
}
