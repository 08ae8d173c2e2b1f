import type { TunnelEnd } from '../core/conversation.ts';
import type { Channel } from '../stream/channel.ts';
import { nativeRelay } from './native-relay.ts';
import { nativeTunnel } from './native-tunnel.ts';
import { pipedTunnel } from './piped-tunnel.ts';
import type { Ends, TunnelTerms } from './tunnel-ends.ts';

/**
 * Passes bytes both ways until both sides have said their FIN, one side breaks, or nothing moves for `idleMs`.
 *
 * A FIN of one side is passed on and the other may go on sending (half-close). Each side is read no faster than the other
 * takes.
 *
 * @param early what the client sent and is still owed to the upstream
 */
export function tunnel(
  client: Channel,
  upstream: Channel,
  early: Buffer,
  { idleMs, onOpen, down }: TunnelTerms,
): Promise<TunnelEnd> {
  const near = client.release();
  const far = upstream.release();
  const ends: Ends = {
    client: near.socket,
    upstream: far.socket,
    earlyUp: bytesOf(early, near.early),
    earlyDown: bytesOf(far.early),
  };
  // Before a byte goes out: what is in force by now may no longer allow it.
  let isBroken = false;
  let breakOff = () => {
    isBroken = true;
  };
  onOpen(() => breakOff());
  const terms: TunnelTerms = {
    idleMs,
    down,
    onOpen: (way) => {
      breakOff = way;
      if (isBroken) way();
    },
  };
  const native = nativeRelay();
  // What is to be changed has to be seen here.
  if (!isBroken && down === undefined && native !== undefined) {
    const handedOver = nativeTunnel(native, ends, terms);
    if (handedOver !== undefined) return handedOver;
  }
  return pipedTunnel(ends, terms);
}

function bytesOf(...chunks: readonly (Buffer | undefined)[]): Buffer[] {
  return chunks.filter((chunk) => chunk !== undefined && chunk.length > 0) as Buffer[];
}
