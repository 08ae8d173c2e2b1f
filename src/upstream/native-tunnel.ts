import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { TunnelEnd } from '../core/conversation.ts';
import type { Trouble } from '../core/reasons.ts';
import { handOver } from '../stream/hand-over.ts';
import type { NativeEnd, NativeRelay } from './native-relay.ts';
import type { Ends, TunnelTerms } from './tunnel-ends.ts';

/** What Node has behind a socket of TCP. It is not documented: a tunnel that misses anything of it is piped. */
interface Handle {
  readonly fd: number;
  readStart(): number;
  readStop(): number;
}

const TROUBLES: Readonly<Record<NativeEnd['how'], Trouble | null>> = {
  'both-done': null,
  'client-reset': 'client-reset',
  'upstream-reset': 'upstream-reset',
  'idle-timeout': 'idle-timeout',
  'broken-off': null,
  'out-of-memory': 'gateway-fault',
};

/**
 * Hands both connections to the native relay: nothing more is read here, what was read goes along, and the sockets are
 * closed, of whose descriptors the relay has copies. All of it between two turns of the event loop.
 *
 * @returns undefined where it cannot be handed over; then nothing has changed
 */
export function nativeTunnel(
  relay: NativeRelay,
  ends: Ends,
  terms: TunnelTerms,
): Promise<TunnelEnd> | undefined {
  const { client, upstream } = ends;
  const [near, far] = [handleOf(client), handleOf(upstream)];
  if (near === undefined || far === undefined) return undefined;
  const [moreUp, moreDown] = [readRest(client, near), readRest(upstream, far)];
  const { promise, resolve } = Promise.withResolvers<NativeEnd>();
  const id = relay.attach(
    { client: near.fd, upstream: far.fd },
    { up: joined(ends.earlyUp, moreUp), down: joined(ends.earlyDown, moreDown) },
    terms.idleMs,
    resolve,
  );
  if (id === undefined) {
    putBack(client, near, moreUp);
    putBack(upstream, far, moreDown);
    return undefined;
  }
  return follow(relay, id, promise, ends, terms);
}

async function follow(
  relay: NativeRelay,
  id: number,
  ended: Promise<NativeEnd>,
  { client, upstream }: Ends,
  { onOpen }: TunnelTerms,
): Promise<TunnelEnd> {
  let error: Trouble | null = null;
  const successor = {
    ended: ended.then(() => undefined),
    destroy(): void {
      error = 'client-reset';
      relay.breakOff(id);
    },
  };
  handOver(client, successor);
  upstream.destroy();
  onOpen(() => relay.breakOff(id));
  const { how, bytesUp, bytesDown } = await ended;
  return { error: how === 'broken-off' ? error : TROUBLES[how], bytesUp, bytesDown };
}

/** Undefined: TLS, already closed, already told its FIN, or with something left that was not sent yet. */
function handleOf(socket: Socket): Handle | undefined {
  if (socket instanceof TLSSocket || socket.destroyed) return undefined;
  if (socket.writableLength > 0 || socket.writableEnded) return undefined;
  const { _handle: handle } = socket as unknown as { readonly _handle?: Partial<Handle> | null };
  const isWhole =
    typeof handle?.readStop === 'function' &&
    typeof handle.readStart === 'function' &&
    (handle.fd ?? -1) >= 0;
  return isWhole ? (handle as Handle) : undefined;
}

/** What the socket has read and nobody has taken. It reads no more then. */
function readRest(socket: Socket, handle: Handle): Buffer | null {
  const rest = socket.read() as Buffer | null;
  handle.readStop();
  return rest;
}

function putBack(socket: Socket, handle: Handle, rest: Buffer | null): void {
  if (rest !== null) socket.unshift(rest);
  // The stream does not know that reading was stopped, and so would not start it again.
  handle.readStart();
}

function joined(early: readonly Buffer[], more: Buffer | null): Buffer {
  return Buffer.concat(more === null ? early : [...early, more]);
}
