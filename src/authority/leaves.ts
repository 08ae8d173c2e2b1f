import { generateKeyPairSync } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { hostText } from '../core/destination.ts';
import type { Hostname } from '../core/hostname.ts';
import type { Ip } from '../core/ip.ts';
import type { Authority } from './authority.ts';

/** A leaf is good for so long. Nobody needs to revoke what ends by itself. */
const LIFE_MS = 24 * 3_600_000;
/** Clocks of clients may be behind. */
const SKEW_MS = 3_600_000;
/** One is taken out of the cache while a connection that begins with it may still last for long. */
const RENEW_MS = LIFE_MS / 2;
/** One takes about 35 KB, with OpenSSL's part of it. */
const MOST = 500;

interface Leaf {
  readonly context: Promise<SecureContext>;
  readonly until: number;
}

/** What the gateway answers with in the names of destinations: one certificate for each, made when it is first needed. */
export class Leaves {
  /** The one used last is last. */
  readonly #known = new Map<string, Leaf>();
  readonly #now: () => number;
  readonly #most: number;

  /** @param now milliseconds since the epoch @param most how many are kept */
  constructor(now: () => number, most = MOST) {
    this.#now = now;
    this.#most = most;
  }

  get size(): number {
    return this.#known.size;
  }

  contextFor(authority: Authority, host: Hostname | Ip): Promise<SecureContext> {
    const key = `${authority.fingerprint} ${hostText(host)}`;
    const known = this.#known.get(key);
    this.#known.delete(key);
    const leaf =
      known !== undefined && this.#now() < known.until ? known : this.#issue(authority, host);
    this.#known.set(key, leaf);
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#most && oldest !== undefined) this.#known.delete(oldest);
    // What failed is tried anew by the next one.
    leaf.context.catch(() => this.#known.get(key) === leaf && this.#known.delete(key));
    return leaf.context;
  }

  #issue(authority: Authority, host: Hostname | Ip): Leaf {
    const now = this.#now();
    return { context: issue(authority, host, now), until: now + RENEW_MS };
  }
}

async function issue(
  { certificates, key }: Authority,
  host: Hostname | Ip,
  now: number,
): Promise<SecureContext> {
  // Loaded only where something is intercepted: no other worker has it in its memory.
  const { leafCertificate } = await import('./certificate.ts');
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = (certificates[0] as (typeof certificates)[number]).raw;
  const span = { from: now - SKEW_MS, to: now + LIFE_MS };
  const leaf = leafCertificate(host, own.publicKey, issuer, key, span);
  return createSecureContext({
    // Whoever trusts a root has it.
    cert: [leaf, ...certificates.filter((one) => !one.checkIssued(one)).map(String)].join(''),
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    // Clients show no certificate: without this one would carry all CAs of the system along.
    ca: [],
    minVersion: 'TLSv1.2',
  });
}
