import { nativePart, type RelayAddon } from '../tcp/addon.ts';

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

/** Passes the bytes of tunnels: the thread of `native/tunnel.c`. */
export class NativeRelay {
  readonly #addon: RelayAddon;
  readonly #ended = new Map<number, (end: NativeEnd) => void>();
  #isStarted = false;

  constructor(addon: RelayAddon) {
    this.#addon = addon;
  }

  /**
   * Takes both descriptors.
   *
   * @param ended called once, later
   * @returns the tunnel's id
   * @throws Error where there is no memory
   */
  attach(
    fds: { readonly client: number; readonly upstream: number },
    early: { readonly up: Buffer; readonly down: Buffer },
    idleMs: number,
    ended: (end: NativeEnd) => void,
  ): number {
    this.#start();
    const id = this.#addon.attach(fds.client, fds.upstream, early.up, early.down, idleMs);
    this.#ended.set(id, ended);
    return id;
  }

  /** One that has ended already stays as it ended. */
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

let known: NativeRelay | undefined;

/** Undefined where this process has no native part. */
export function nativeRelay(): NativeRelay | undefined {
  const native = nativePart();
  if (known === undefined && 'addon' in native) known = new NativeRelay(native.addon);
  return known;
}
