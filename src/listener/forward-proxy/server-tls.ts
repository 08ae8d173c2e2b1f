import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { SekishoError } from '../../core/errors.ts';
import { nodeSocket } from '../../tcp/native-socket.ts';
import type { TcpSocket } from '../../tcp/tcp-socket.ts';

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

  /** Makes an accepted connection a TLS one, with what was read of it already. Resolves once the handshake is done. */
  handshake(tcp: TcpSocket, early: Buffer | undefined, timeoutMs: number): Promise<TLSSocket> {
    const socket = nodeSocket(tcp, early);
    // What fails below is told by the TLS above it.
    socket.on('error', () => {});
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#current(),
      ALPNProtocols: ['http/1.1'],
    });
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        secure.off('error', onError).off('close', onClose).off('end', onClose);
      };
      const fail = (cause: Error) => {
        settle();
        secure.destroy();
        reject(new SekishoError('handshake-failed', 'no TLS session came about', { cause }));
      };
      const onError = (error: Error) => fail(error);
      const onClose = () => fail(new Error('the client closed'));
      const timer = setTimeout(() => fail(new Error('the handshake took too long')), timeoutMs);
      secure.on('error', onError).on('close', onClose).on('end', onClose);
      // So that its FIN is seen; what the client sends behind its handshake comes after `secure`.
      secure.resume();
      secure.once('secure', () => {
        settle();
        secure.pause();
        resolve(secure);
      });
    });
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
