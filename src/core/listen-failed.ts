import { SekishoError } from './errors.ts';

const LISTEN_REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it, or bind another port',
  EACCES:
    'ports below 1024 need the right to bind them: run with CAP_NET_BIND_SERVICE, or bind a higher port',
  EADDRNOTAVAIL: 'no interface of this host has that address: bind one of its own, or "0.0.0.0"',
};

/** What keeps somebody from listening, and what would help. @param what `listener egress`, `admin.bind` */
export function listenFailed(
  what: string,
  bind: { readonly host: string; readonly port: number },
  error: Error & { code?: string | undefined },
): SekishoError {
  const where = bind.host.includes(':')
    ? `[${bind.host}]:${bind.port}`
    : `${bind.host}:${bind.port}`;
  const remedy = LISTEN_REMEDIES[error.code ?? ''] ?? error.message;
  return new SekishoError('listen-failed', `${what} cannot listen on ${where}: ${remedy}`, {
    cause: error,
  });
}
