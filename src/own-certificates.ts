import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readCertificate } from './authority/authority.ts';
import { authorityFiles, interceptingAt } from './authority/find.ts';
import type { Config, ListenerConfig } from './config/config.ts';
import { type Diagnostic, type Position, warning } from './core/diagnostic.ts';
import type { Logger } from './log.ts';

/** Told so long before. */
const ENDING_MS = 30 * 86_400_000;
const LOOK_MS = 86_400_000;

/** What a gateway shows to clients, and until when it holds: the first end of a certificate in its chain. */
export interface OwnCertificate {
  /** `listener egress`, `the intercept CA`. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly endsMs: number;
  readonly at: Position;
  readonly remedy: string;
}

/** As the files now are. What cannot be read is told by whatever needs it. */
export function ownCertificates(config: Config): OwnCertificate[] {
  return [...config.listeners.flatMap(ofListener), ...ofAuthority(config)];
}

/** For each that ends soon. @param now milliseconds since the epoch */
export function findEndingCertificates(config: Config, now: number): Diagnostic[] {
  return ownCertificates(config)
    .filter(({ endsMs }) => endsMs - now <= ENDING_MS)
    .map(({ name, endsMs, at, remedy }) => {
      const day = new Date(endsMs).toISOString().slice(0, 10);
      const message = `the certificate of ${name} ${endsMs < now ? 'ended' : 'ends'} on ${day}`;
      return warning(at, message, remedy);
    });
}

/** Tells the log now, and once a day, which certificates end soon. @param config as it then is */
export function watchCertificates(config: () => Config, log: Logger): { close(): Promise<void> } {
  const tell = () => {
    for (const { message, remedy } of findEndingCertificates(config(), Date.now()))
      log.warn({ detail: message, remedy }, 'a certificate ends soon');
  };
  tell();
  const timer = setInterval(tell, LOOK_MS).unref();
  return { close: async () => clearInterval(timer) };
}

function ofListener({ name, tls, at }: ListenerConfig): OwnCertificate[] {
  if (tls === undefined) return [];
  const remedy = `put another one in ${tls.certificate}: it is taken while the gateway runs`;
  return read(tls.certificate).map((endsMs) => ({
    name: `listener ${name}`,
    endsMs,
    at,
    remedy,
  }));
}

function ofAuthority(config: Config): OwnCertificate[] {
  const at = interceptingAt(config);
  if (at === undefined) return [];
  const name = 'the intercept CA';
  const { ca } = config.intercept;
  const trust = 'have workloads trust the next one first (sekisho ca install-help)';
  if (ca !== undefined) {
    return endOf(ca.certificate).map((endsMs) => ({ name, endsMs, at, remedy: trust }));
  }
  const { certificate } = authorityFiles(config.gateway.dataDir);
  const remedy = `remove ${certificate}: the next start makes another one, which workloads have to trust`;
  return read(certificate).map((endsMs) => ({ name, endsMs, at, remedy }));
}

function read(file: string): number[] {
  try {
    return endOf(readFileSync(file, 'utf8'));
  } catch {
    return [];
  }
}

function endOf(pem: string): number[] {
  try {
    return [Math.min(...readCertificate(pem).map(endsMs))];
  } catch {
    return [];
  }
}

function endsMs({ validToDate }: X509Certificate): number {
  return validToDate.getTime();
}
