import type { EventEmitter } from 'node:events';
import type { Ip } from '../core/ip.ts';

/**
 * A connection, half-open when its peer ends: one of Node's own, plain or TLS, or one of the native part's, which does the
 * same with a fraction of the work. Members and events mean what they mean of `net.Socket`: `connect`, `data`, `end`, `drain`,
 * `timeout`, `error` with `close` behind it, `close`.
 */
export interface TcpSocket extends EventEmitter {
  readonly destroyed: boolean;
  readonly readableEnded: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly writableNeedDrain: boolean;
  readonly timeout?: number | undefined;
  pause(): unknown;
  resume(): unknown;
  write(bytes: Buffer): boolean;
  end(sent?: () => void): unknown;
  destroy(): unknown;
  resetAndDestroy(): unknown;
  setTimeout(milliseconds: number): unknown;
}

/** Where a connection comes from. */
export interface Peer {
  readonly ip: Ip;
  readonly port: number;
}
