import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { authorization, readToken } from '../admin/token.ts';
import type { Bind } from '../config/config.ts';
import { load } from '../config/load.ts';
import { SekishoError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { readSecret } from '../secret/read.ts';

/** The admin API of the gateway that a configuration describes. */
export interface AdminClient {
  /** Where it is, for messages: `http://127.0.0.1:9090`. */
  readonly url: string;
  /** A response of status 200, as it comes. @throws SekishoError saying what to do about any other */
  get(path: string): Promise<IncomingMessage>;
}

/** @param file the gateway's configuration, which names address and token */
export async function findAdmin(file: string): Promise<AdminClient> {
  const { admin, gateway } = load(file, { env: process.env }).config;
  if (admin.bind.port === 0) {
    throw new SekishoError(
      'admin-unreachable',
      `admin.bind in ${file} leaves the port to the system: give it a port of its own`,
    );
  }
  const token =
    admin.token === undefined
      ? await readToken(gateway.dataDir)
      : readSecret(admin.token, { env: process.env });
  return connectAdmin(admin.bind, token);
}

export function connectAdmin(bind: Bind, token: Secret): AdminClient {
  const url = `http://${reachable(bind.host)}:${bind.port}`;
  return { url, get: (path) => get(url, path, token) };
}

/** A gateway that is bound to every address is on this one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

async function get(url: string, path: string, token: Secret): Promise<IncomingMessage> {
  const response = await send(url, path, token);
  const { statusCode } = response;
  if (statusCode === 200) return response;
  const problem = await text(response);
  if (statusCode === 401) {
    throw new SekishoError(
      'admin-token-refused',
      `the gateway at ${url} takes another token: use the configuration that it was started with`,
    );
  }
  const code = statusCode === 404 ? 'not-found' : 'admin-failed';
  throw new SekishoError(code, `the gateway at ${url} answers ${statusCode}: ${detailOf(problem)}`);
}

function send(url: string, path: string, token: Secret): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // An agent of its own, so that no proxy from the environment ever sees the token.
    const options = { agent: new Agent(), headers: { authorization: authorization(token) } };
    const sent = request(`${url}${path}`, options, resolve);
    sent.on('error', (error: NodeJS.ErrnoException) => {
      const message = `no gateway answers at ${url} (${error.code ?? error.message}): is it running with this configuration?`;
      reject(new SekishoError('admin-unreachable', message, { cause: error }));
    });
    sent.end();
  });
}

/** RFC 9457. */
function detailOf(problem: string): string {
  try {
    return String((JSON.parse(problem) as { detail?: unknown }).detail);
  } catch {
    return 'something that is no answer of the admin API';
  }
}
