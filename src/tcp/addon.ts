import { type AddonOrigin, loadAddon } from './load-addon.ts';

/** What `native/sockets.c` offers. Sockets are numbers; what is asked of one that is gone does nothing. */
export interface SocketsAddon {
  open(
    onTurn: (events: number, arenaUsed: number) => void,
    events: Int32Array,
    addresses: Uint8Array,
  ): void;
  use(arena: Buffer): void;
  reuse(): void;
  listen(fd: number): number;
  connect(address: Buffer, port: number, from: Buffer | undefined): number;
  resume(id: number): void;
  pause(id: number): void;
  write(id: number, bytes: Buffer): boolean;
  finish(id: number): boolean;
  close(id: number, reset: boolean): void;
  detach(id: number): number;
  quiet(id: number): number;
  duplicate(fd: number): number;
}

/** What `native/tunnel.c` offers. */
export interface RelayAddon {
  /** Once; `ended` is called exactly once for each tunnel that was attached. */
  start(ended: (id: number, end: number, bytesUp: number, bytesDown: number) => void): void;
  /**
   * Takes both descriptors.
   *
   * @param id no other tunnel of this process has, or had
   * @throws Error where there is no memory
   */
  attach(
    id: number,
    client: number,
    upstream: number,
    up: Buffer,
    down: Buffer,
    idleMs: number,
  ): void;
  breakOff(id: number): void;
}

export type Addon = SocketsAddon & RelayAddon;

/** The native part, or why there is none in this process. */
export type NativePart =
  | { readonly addon: Addon; readonly origin: AddonOrigin }
  | { readonly obstacle: string };

let known: NativePart | undefined;

export function nativePart(): NativePart {
  known ??= load();
  return known;
}

/** Undefined: there is none. */
export function nativeOrigin(): AddonOrigin | undefined {
  const native = nativePart();
  return 'origin' in native ? native.origin : undefined;
}

function load(): NativePart {
  const loaded = loadAddon();
  return 'obstacle' in loaded ? loaded : { addon: loaded.addon as Addon, origin: loaded.origin };
}
