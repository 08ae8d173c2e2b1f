import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end and gives what it printed. */
export async function run(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; cwd?: string } = {},
): Promise<Finished> {
  // Nothing of the machine's own proxy settings may decide a test.
  const {
    http_proxy,
    https_proxy,
    no_proxy,
    all_proxy,
    HTTP_PROXY,
    HTTPS_PROXY,
    NO_PROXY,
    ALL_PROXY,
    ...clean
  } = process.env;
  const child = spawn(command, args, { env: { ...clean, ...options.env }, cwd: options.cwd });
  child.stdin.end(options.input);
  return finished(child);
}

export async function finished(child: ChildProcess): Promise<Finished> {
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: stdout(), stderr: stderr() };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** The port of the listener `egress` of a gateway in another process, from its log. */
export async function listeningPort(log: Readable): Promise<number> {
  let text = '';
  for await (const [chunk] of on(log, 'data', { close: ['end'] })) {
    text += chunk;
    const port = /"listener":"egress".*?:(\d+)"/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`the gateway ended before it listened: ${text}`);
}

/** A raw connection to a proxy: sends bytes as they are and reads what comes back. */
export class RawClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  readonly #ended: Promise<void>;
  #localPort = 0;

  /** @param place where to connect to and from: the gateway's host, and which loopback address the client has */
  constructor(port: number, place: { host?: string; localAddress?: string } = {}) {
    this.socket = connect({
      host: '127.0.0.1',
      ...place,
      port,
      allowHalfOpen: true,
      noDelay: true,
    });
    this.socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.socket.emit('more');
    });
    this.socket.on('error', () => {});
    this.socket.once('connect', () => {
      this.#localPort = this.socket.localPort ?? 0;
    });
    this.#ended = new Promise((resolve) => {
      this.socket.once('end', () => resolve());
      this.socket.once('close', () => resolve());
    });
  }

  get received(): Buffer {
    return this.#received;
  }

  /** The client's port, as the record names it. Known once the connection stands, and from then on. */
  get localPort(): number {
    return this.#localPort;
  }

  send(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** Waits until a text was received so many times. */
  async times(text: string, count: number): Promise<string> {
    return this.until({ test: (received) => received.split(text).length > count });
  }

  /** Waits until the received bytes match, and gives them as latin1. Fails when the peer ends before. */
  async until(pattern: Pick<RegExp, 'test'>): Promise<string> {
    for (;;) {
      const text = this.#received.toString('latin1');
      if (pattern.test(text)) return text;
      const ended = await Promise.race([
        once(this.socket, 'more').then(() => false),
        this.#ended.then(() => true),
      ]);
      if (ended && !pattern.test(this.#received.toString('latin1'))) {
        throw new Error(
          `ended before ${pattern}: ${JSON.stringify(this.#received.toString('latin1'))}`,
        );
      }
    }
  }

  /** Everything until the peer's end. Closes the connection, so that nobody waits for our end. */
  async all(): Promise<string> {
    await this.#ended;
    this.close();
    return this.#received.toString('latin1');
  }

  close(): void {
    this.socket.destroy();
  }
}

export function statusOf(response: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(response)?.[1]);
}
