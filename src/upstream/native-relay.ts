import { createRequire } from 'node:module';

/** What `native/tunnel.c` offers. */
interface Addon {
  /** Once; `ended` is called exactly once for each tunnel that was attached. */
  start(ended: (id: number, end: number, bytesUp: number, bytesDown: number) => void): void;
  /** @returns the tunnel's id, or -errno: then nothing has happened */
  attach(client: number, upstream: number, up: Buffer, down: Buffer, idleMs: number): number;
  breakOff(id: number): void;
}

/** How the relay's thread says that a tunnel ended: the numbers of `enum end`. */
export const ENDS = [
  'both-done',
  'client-reset',
  'upstream-reset',
  'idle-timeout',
  'broken-off',
  'out-of-memory',
] as const;

export interface NativeEnd {
  readonly how: (typeof ENDS)[number];
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** Passes the bytes of tunnels. Its descriptors are copies: what it is given stays the caller's. */
export interface NativeRelay {
  /** @returns the tunnel's id; undefined where there is no room for one more: descriptors, memory */
  attach(
    fds: { readonly client: number; readonly upstream: number },
    early: { readonly up: Buffer; readonly down: Buffer },
    idleMs: number,
    ended: (end: NativeEnd) => void,
  ): number | undefined;
  /** One that has ended already stays as it ended. */
  breakOff(id: number): void;
}

/** The thread of `native/tunnel.c`. */
class RelayThread implements NativeRelay {
  readonly #addon: Addon;
  readonly #ended = new Map<number, (end: NativeEnd) => void>();
  #isStarted = false;

  constructor(addon: Addon) {
    this.#addon = addon;
  }

  attach(
    fds: Parameters<NativeRelay['attach']>[0],
    early: Parameters<NativeRelay['attach']>[1],
    idleMs: number,
    ended: (end: NativeEnd) => void,
  ): number | undefined {
    this.#start();
    const id = this.#addon.attach(fds.client, fds.upstream, early.up, early.down, idleMs);
    if (id < 0) return undefined;
    this.#ended.set(id, ended);
    return id;
  }

  breakOff(id: number): void {
    this.#addon.breakOff(id);
  }

  /** Processes that have no tunnels need no thread. */
  #start(): void {
    if (this.#isStarted) return;
    this.#addon.start((id, end, bytesUp, bytesDown) => {
      const ended = this.#ended.get(id);
      this.#ended.delete(id);
      ended?.({ how: ENDS[end] ?? 'out-of-memory', bytesUp, bytesDown });
    });
    this.#isStarted = true;
  }
}

/** The relay of this process, or why it has none. */
export type Availability = { readonly relay: NativeRelay } | { readonly obstacle: string };

let known: Availability | undefined;

export function nativeRelay(): Availability {
  known ??= load();
  return known;
}

function load(): Availability {
  if (process.env.SEKISHO_NATIVE === 'off') return { obstacle: 'SEKISHO_NATIVE is off' };
  try {
    // Beside `src` as beside `dist`.
    const addon = createRequire(import.meta.url)('../../native/tunnel.node') as Addon;
    return { relay: new RelayThread(addon) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'MODULE_NOT_FOUND') return { obstacle: 'it was not built at install' };
    return { obstacle: message };
  }
}
