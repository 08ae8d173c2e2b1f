import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';

/** Beyond any hesitation of a busy machine. */
const PATIENCE_MS = 30_000;

export interface Answer {
  readonly status: number;
  /** The connection serves no other request. */
  readonly closes: boolean;
  readonly body: string;
}

/** A client's connection, whose bytes are taken piece by piece. One taker at a time. */
export class Wire {
  readonly openedMs = Date.now();
  readonly socket: Socket;
  /** As the gateway's record names the client. */
  readonly clientPort: number;
  #pending: Buffer = Buffer.alloc(0);
  #ended: Error | undefined;
  #wake = Promise.withResolvers<void>();

  private constructor(socket: Socket, clientPort: number) {
    this.socket = socket;
    this.clientPort = clientPort;
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('nothing moved for too long')));
    socket.on('data', (chunk: Buffer) => {
      this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
      this.#wake.resolve();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('end', () => this.#end(new Error('the peer ended the connection')));
    socket.on('close', () => this.#end(new Error('the connection is closed')));
  }

  /** @throws what the system says */
  static async open(port: number): Promise<Wire> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return new Wire(socket, socket.localPort as number);
  }

  /** Goes on within TLS. @throws when the certificate is not one of the CA for that name */
  async secure(servername: string, ca: Buffer): Promise<Wire> {
    for (const event of ['data', 'end']) this.socket.removeAllListeners(event);
    const secured: TLSSocket = tlsConnect({ socket: this.socket, servername, ca });
    await once(secured, 'secureConnect');
    return new Wire(secured, this.clientPort);
  }

  /** Whether it can no longer be used. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** So many bytes. @throws when the connection ends before */
  async bytes(count: number): Promise<Buffer> {
    return this.#take((pending) => (pending.length < count ? undefined : count));
  }

  /** The head of a response, up to its empty line. @throws when the connection ends before */
  async head(): Promise<string> {
    const bytes = await this.#take((pending) => {
      const end = pending.indexOf('\r\n\r\n');
      return end < 0 ? undefined : end + 4;
    });
    return bytes.toString('latin1');
  }

  /** A response with its body, of which the length is told. @throws when the connection ends before */
  async answer(): Promise<Answer> {
    const head = await this.head();
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    const body = await this.bytes(length);
    return {
      status: statusIn(head),
      closes: /^connection: close/im.test(head),
      body: body.toString(),
    };
  }

  /** Waits for the peer's end. */
  async end(): Promise<void> {
    this.socket.end();
    while (this.#ended === undefined) await this.#woken();
    this.socket.destroy();
  }

  close(): void {
    this.socket.destroy();
  }

  async #take(lengthIn: (pending: Buffer) => number | undefined): Promise<Buffer> {
    for (;;) {
      const length = lengthIn(this.#pending);
      if (length !== undefined) {
        const taken = this.#pending.subarray(0, length);
        this.#pending = this.#pending.subarray(length);
        return taken;
      }
      if (this.#ended !== undefined) throw this.#ended;
      await this.#woken();
    }
  }

  #woken(): Promise<void> {
    this.#wake = Promise.withResolvers();
    return this.#wake.promise;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#wake.resolve();
  }
}

export function statusIn(head: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
}
