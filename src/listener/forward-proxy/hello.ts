import { type Destination, sameHost } from '../../core/destination.ts';
import { Hostname } from '../../core/hostname.ts';
import { Ip } from '../../core/ip.ts';
import type { Reason, Trouble } from '../../core/reasons.ts';
import { Refusal } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { type ClientHello, ClientHelloReader, NotTls } from '../../wire/client-hello.ts';

/** A ClientHello that may go on, and what the client sent up to its end. */
export interface CheckedHello {
  readonly hello: ClientHello;
  readonly bytes: Buffer;
}

/** What the client is refused for. */
export interface RefusedHello {
  readonly reason: Reason;
  /** Undefined where it is no TLS. */
  readonly hello: ClientHello | undefined;
}

/** What it was when no ClientHello came. */
const TROUBLES = {
  reset: 'client-reset',
  abandoned: 'upstream-reset',
  idle: 'idle-timeout',
  'too-slow': 'idle-timeout',
} as const satisfies Record<ChannelLost['code'], Trouble>;

/** Takes the ClientHello with which a tunnel to a destination must begin. It has `timeoutMs` to come. */
export async function takeHello(
  channel: Channel,
  destination: Destination,
  timeoutMs: number,
): Promise<CheckedHello | RefusedHello | { readonly error: Trouble }> {
  const reader = new ClientHelloReader();
  try {
    const hello = await channel.take((chunk) => reader.push(chunk), timeoutMs);
    if (hello === undefined) return { error: 'client-reset' };
    if (!namesHost(hello, destination)) return { reason: 'sni-mismatch', hello };
    return { hello, bytes: reader.bytes };
  } catch (error) {
    if (error instanceof NotTls) return { reason: 'protocol-mismatch', hello: undefined };
    if (!(error instanceof ChannelLost)) throw error;
    return { error: TROUBLES[error.code] };
  }
}

/** Another name inside than outside is how a tunnel to an allowed host reaches its neighbour on a shared address. */
function namesHost(hello: ClientHello, destination: Destination): boolean {
  if (destination.host instanceof Ip) return hello.sni === null;
  if (hello.sni === null) return false;
  try {
    return sameHost(Hostname.parse(hello.sni), destination.host);
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
