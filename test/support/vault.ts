import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What Vault's KV engine, version 2, answers at `secret/`, with its statuses and bodies. */
export interface FakeVault {
  readonly url: string;
  /** Adds a version. */
  put(path: string, data: Record<string, unknown>): void;
  /** Answers every request like this from now on; undefined: as Vault does. */
  answer: { status: number; body: string; location?: string } | undefined;
  readonly reads: number;
  close(): Promise<void>;
}

export async function startFakeVault(token: string, namespace?: string): Promise<FakeVault> {
  const secrets = new Map<string, Record<string, unknown>[]>();
  let reads = 0;
  const server = createServer((request, response) => {
    reads++;
    const { headers } = request;
    const denied = headers['x-vault-token'] !== token || headers['x-vault-namespace'] !== namespace;
    const { status, body, location } = vault.answer ?? (denied ? DENIED : read(request.url ?? ''));
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(location && { location }),
    });
    response.end(body);
  });
  const read = (url: string) => {
    const path = decodeURIComponent(/^\/v1\/secret\/data\/(.+)$/.exec(url)?.[1] ?? '');
    const versions = secrets.get(path);
    if (versions === undefined) return { status: 404, body: '{"errors":[]}', location: undefined };
    const version = versions.length;
    const metadata = { created_time: '2026-01-01T00:00:00Z', destroyed: false, version };
    const body = JSON.stringify({ data: { data: versions.at(-1), metadata } });
    return { status: 200, body, location: undefined };
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const vault: FakeVault & { answer: FakeVault['answer'] } = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    put(path, data) {
      secrets.set(path, [...(secrets.get(path) ?? []), data]);
    },
    answer: undefined,
    get reads() {
      return reads;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  return vault;
}

const DENIED = { status: 403, body: '{"errors":["permission denied"]}', location: undefined };
