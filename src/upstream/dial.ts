import type { Ip } from '../core/ip.ts';
import { UpstreamError } from '../core/refusal.ts';
import { connectTcp } from '../tcp/connect.ts';
import type { TcpSocket } from '../tcp/tcp-socket.ts';

export interface DialOptions {
  /** The addresses to leave from: only destinations of their families can be reached. Absent: the system picks. */
  readonly from?: readonly Ip[];
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** How long an attempt has before the next one joins it. Default: 250 ms (RFC 8305 section 5). */
  readonly attemptDelayMs?: number;
}

export interface Dialled {
  /** Connected, paused, without listeners; half-open when the peer ends. */
  readonly socket: TcpSocket;
  readonly address: Ip;
}

const ATTEMPT_DELAY_MS = 250;

/**
 * Connects to the first address that accepts (RFC 8305 section 5): one after the other in the order given, the next one
 * as soon as the last has failed or has taken too long, and the others are dropped once one stands.
 *
 * @throws UpstreamError `connect-failed`, `connect-timeout`
 */
export function dial(
  addresses: readonly Ip[],
  port: number,
  options: DialOptions,
): Promise<Dialled> {
  const { from } = options;
  const usable = addresses.filter((ip) => from === undefined || sourceFor(ip, from) !== undefined);
  if (usable.length === 0) return Promise.reject(noAddress(addresses, from));
  return new Promise((resolve, reject) => {
    new Race(usable, port, options, resolve, reject).start();
  });
}

class Race {
  readonly #waiting: Ip[];
  readonly #port: number;
  readonly #options: DialOptions;
  readonly #resolve: (dialled: Dialled) => void;
  readonly #reject: (error: unknown) => void;
  readonly #running = new Map<TcpSocket, Ip>();
  readonly #failures: string[] = [];
  #stagger: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(
    addresses: readonly Ip[],
    port: number,
    options: DialOptions,
    resolve: (dialled: Dialled) => void,
    reject: (error: unknown) => void,
  ) {
    this.#waiting = [...addresses];
    this.#port = port;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    this.#deadline = setTimeout(this.#onDeadline, this.#options.timeoutMs);
    this.#attempt();
  }

  #attempt(): void {
    clearTimeout(this.#stagger);
    const address = this.#waiting.shift();
    if (address === undefined) return;
    const { from = [], attemptDelayMs = ATTEMPT_DELAY_MS } = this.#options;
    const source = sourceFor(address, from);
    const socket = connectTcp({ to: address, port: this.#port, from: source });
    this.#running.set(socket, address);
    const onConnect = () => {
      socket.off('error', onError);
      this.#win(socket, address);
    };
    // Stays on a socket that loses: it may still fail while it is being closed.
    const onError = (error: NodeJS.ErrnoException) => {
      socket.off('connect', onConnect);
      this.#lose(socket, address, source, error);
    };
    socket.once('connect', onConnect);
    socket.once('error', onError);
    if (this.#waiting.length > 0) this.#stagger = setTimeout(() => this.#attempt(), attemptDelayMs);
  }

  #win(socket: TcpSocket, address: Ip): void {
    this.#running.delete(socket);
    this.#stop();
    this.#resolve({ socket, address });
  }

  #lose(
    socket: TcpSocket,
    address: Ip,
    source: Ip | undefined,
    error: NodeJS.ErrnoException,
  ): void {
    if (!this.#running.delete(socket)) return;
    const what = error.code ?? error.message;
    const isOurs = source !== undefined && error.syscall === 'bind';
    this.#failures.push(`${address} ${isOurs ? `cannot leave from ${source}: ${what}` : what}`);
    if (this.#waiting.length > 0) this.#attempt();
    else if (this.#running.size === 0) this.#fail('connect-failed', 'no address accepts');
  }

  readonly #onDeadline = (): void => {
    const { timeoutMs } = this.#options;
    for (const address of this.#running.values()) this.#failures.push(`${address} silent`);
    this.#fail('connect-timeout', `no address accepted within ${timeoutMs} ms`);
  };

  #fail(code: 'connect-failed' | 'connect-timeout', what: string): void {
    this.#stop();
    const tried = this.#failures.join(', ');
    this.#reject(new UpstreamError(code, `${what} (port ${this.#port}: ${tried})`));
  }

  #stop(): void {
    clearTimeout(this.#stagger);
    clearTimeout(this.#deadline);
    for (const socket of this.#running.keys()) socket.destroy();
    this.#running.clear();
  }
}

function sourceFor(ip: Ip, from: readonly Ip[]): Ip | undefined {
  return from.find(({ family }) => family === ip.family);
}

function noAddress(addresses: readonly Ip[], from: readonly Ip[] | undefined): UpstreamError {
  if (from === undefined || addresses.length === 0) {
    return new UpstreamError('connect-failed', 'there is no address to dial');
  }
  return new UpstreamError(
    'connect-failed',
    `the exit leaves from ${from.join(', ')}, but the destination has only addresses of the other family: ${addresses.join(', ')}`,
  );
}
