import type { TunnelEnd } from '../core/conversation.ts';
import type { Trouble } from '../core/reasons.ts';
import { NativeSocket } from '../tcp/native-socket.ts';
import type { NativeEnd, NativeRelay } from './native-relay.ts';
import type { Ends, TunnelTerms } from './tunnel-ends.ts';

const TROUBLES: Readonly<Record<NativeEnd['how'], Trouble | null>> = {
  'both-done': null,
  'client-reset': 'client-reset',
  'upstream-reset': 'upstream-reset',
  'idle-timeout': 'idle-timeout',
  'broken-off': null,
  'out-of-memory': 'gateway-fault',
};

/**
 * Hands both connections to the native relay, with what was received of them already.
 *
 * @returns undefined where they cannot be handed over (TLS, ended, something still to be sent); then nothing has changed
 */
export function nativeTunnel(
  relay: NativeRelay,
  ends: Ends,
  terms: TunnelTerms,
): Promise<TunnelEnd> | undefined {
  const { client, upstream } = ends;
  if (!mayGo(client) || !mayGo(upstream)) return undefined;
  const [near, far] = [detached(client), detached(upstream)];
  const { promise: ended, resolve } = Promise.withResolvers<NativeEnd>();
  const fds = { client: near.fd, upstream: far.fd };
  const early = { up: joined(ends.earlyUp, near.early), down: joined(ends.earlyDown, far.early) };
  const id = relay.attach(fds, early, terms.idleMs, resolve);
  let breaker: Trouble | null = null;
  client.successor = {
    ended: ended.then(() => undefined),
    destroy(): void {
      breaker = 'client-reset';
      relay.breakOff(id);
    },
  };
  terms.onOpen(() => relay.breakOff(id));
  return ended.then(({ how, bytesUp, bytesDown }) => ({
    error: how === 'broken-off' ? breaker : TROUBLES[how],
    bytesUp,
    bytesDown,
  }));
}

function mayGo(socket: Ends['client']): socket is NativeSocket {
  return socket instanceof NativeSocket && socket.isWhole;
}

function detached(socket: NativeSocket): {
  readonly fd: number;
  readonly early: Buffer | undefined;
} {
  const { fd, early } = socket.detach() ?? { fd: -1, early: undefined };
  if (fd < 0) throw new TypeError('a socket that was whole cannot be detached');
  return { fd, early };
}

function joined(early: readonly Buffer[], more: Buffer | undefined): Buffer {
  return Buffer.concat(more === undefined ? early : [...early, more]);
}
