import { Bag } from '../core/bag.ts';
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

interface Attached {
  readonly ended: (end: NativeEnd) => void;
}

/** More tunnels than a process can have at a time. One's number is `n * PLACES + place`, so that no late word is for another. */
const PLACES = 2 ** 20;
const NUMBERS = 2 ** 33;

/** Passes the bytes of tunnels: the thread of `native/tunnel.c`. */
export class NativeRelay {
  readonly #addon: RelayAddon;
  readonly #attached = new Bag<Attached>();
  #last = 0;
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
    const place = this.#attached.add({ ended });
    this.#last = (this.#last + 1) % NUMBERS;
    const id = this.#last * PLACES + place;
    this.#addon.attach(id, fds.client, fds.upstream, early.up, early.down, idleMs);
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
      const place = id % PLACES;
      const attached = this.#attached.at(place);
      this.#attached.delete(place);
      attached?.ended({ how: ENDS[end] ?? 'out-of-memory', bytesUp, bytesDown });
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
