import type { SecureContext, TLSSocket } from 'node:tls';
import { SekishoError } from '../../core/errors.ts';
import { Channel, ChannelLost } from '../../stream/channel.ts';
import { serverHandshake } from './server-handshake.ts';

export interface OpeningTerms {
  readonly headMs: number;
  readonly idleMs: number;
}

/**
 * Answers the TLS of a client in the name of its destination. The channel is in nobody's hands afterwards.
 *
 * @param hello what was read of it to be checked
 * @returns the channel inside, the socket where HTTP/2 was agreed on, or why there is neither, in words for the record
 */
export async function openTls(
  channel: Channel,
  hello: Buffer,
  context: SecureContext,
  { headMs, idleMs }: OpeningTerms,
): Promise<Channel | TLSSocket | string> {
  try {
    // The answer to the CONNECT is still ours to send.
    await channel.drained();
    channel.unread(hello);
    if (channel.lost) return 'the client left before the handshake';
    const { socket, early } = channel.release();
    const secure = await serverHandshake(socket, early, context, headMs, ['h2', 'http/1.1']);
    return secure.alpnProtocol === 'h2' ? secure : new Channel(secure, idleMs);
  } catch (error) {
    if (error instanceof ChannelLost) return 'the client left before the handshake';
    if (!(error instanceof SekishoError && error.cause instanceof Error)) throw error;
    return error.cause.message;
  }
}
