import { createRequire } from 'node:module';

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
  /** Takes both descriptors. @returns the tunnel's id @throws Error where there is no memory */
  attach(client: number, upstream: number, up: Buffer, down: Buffer, idleMs: number): number;
  breakOff(id: number): void;
}

export type Addon = SocketsAddon & RelayAddon;

/** The native part, or why there is none in this process. */
export type NativePart = { readonly addon: Addon } | { readonly obstacle: string };

let known: NativePart | undefined;

export function nativePart(): NativePart {
  known ??= load();
  return known;
}

function load(): NativePart {
  if (process.env.SEKISHO_NATIVE === 'off') return { obstacle: 'SEKISHO_NATIVE is off' };
  try {
    // Beside `src` as beside `dist`.
    return { addon: createRequire(import.meta.url)('../../native/tunnel.node') as Addon };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'MODULE_NOT_FOUND') return { obstacle: 'it was not built at install' };
    return { obstacle: message };
  }
}
