import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { SekishoError } from '../../core/errors.ts';
import type { TcpSocket } from '../../tcp/tcp-socket.ts';
import { serverHandshake } from './server-handshake.ts';

export interface TlsFiles {
  /** PEM: the leaf first, then what leads to its root. */
  readonly certificate: string;
  readonly key: string;
}

/** Clients without a handshake are held no longer than this between two looks at the files. */
const LOOK_MS = 1_000;

/**
 * The TLS of a listener. Certificates are renewed while the gateway runs: the files are looked at again as connections
 * come, and what cannot be read or does not fit together leaves the last good one in place.
 */
export class ServerTls {
  readonly #files: TlsFiles;
  readonly #onFault: (error: SekishoError) => void;
  #context: SecureContext;
  #stamp: string;
  #lookedAt = performance.now();

  /**
   * @param onFault told once for every change that could not be taken
   * @throws SekishoError `tls-unusable` when there is none to begin with
   */
  constructor(files: TlsFiles, onFault: (error: SekishoError) => void) {
    this.#files = files;
    this.#onFault = onFault;
    this.#stamp = stampOf(files);
    this.#context = contextOf(files);
  }

  /** As `serverHandshake`, with the certificate as it now is. */
  handshake(tcp: TcpSocket, early: Buffer | undefined, timeoutMs: number): Promise<TLSSocket> {
    return serverHandshake(tcp, early, this.#current(), timeoutMs);
  }

  #current(): SecureContext {
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return this.#context;
    this.#lookedAt = now;
    try {
      const stamp = stampOf(this.#files);
      if (stamp === this.#stamp) return this.#context;
      this.#stamp = stamp;
      this.#context = contextOf(this.#files);
    } catch (error) {
      if (!(error instanceof SekishoError)) throw error;
      this.#onFault(error);
    }
    return this.#context;
  }
}

/** Changes whenever one of the files does. */
function stampOf(files: TlsFiles): string {
  try {
    return [files.certificate, files.key]
      .map((path) => statSync(path))
      .map(({ mtimeMs, ino, size }) => `${mtimeMs} ${ino} ${size}`)
      .join(' ');
  } catch (error) {
    throw unusable(files, error as Error);
  }
}

function contextOf(files: TlsFiles): SecureContext {
  try {
    const cert = readFileSync(files.certificate);
    return createSecureContext({ cert, key: readFileSync(files.key), minVersion: 'TLSv1.2' });
  } catch (error) {
    throw unusable(files, error as Error);
  }
}

function unusable({ certificate, key }: TlsFiles, cause: Error): SekishoError {
  return new SekishoError(
    'tls-unusable',
    `the certificate ${certificate} and the key ${key} cannot be used: ${cause.message}; they must be PEM files that belong together and that this user may read`,
    { cause },
  );
}
