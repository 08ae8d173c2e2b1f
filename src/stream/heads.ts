import type { HeadReader } from '../wire/http1/head-reader.ts';
import type { Channel } from './channel.ts';

/**
 * The next head on a channel, or undefined when the peer ended the connection before one began.
 *
 * From its first byte on a head must be complete within `timeoutMs`, however slowly it drips; before that only the
 * channel's idle limit counts.
 *
 * @throws FramingError, ChannelLost (`too-slow`)
 */
export async function takeHead<H>(
  channel: Channel,
  reader: HeadReader<H>,
  timeoutMs: number,
): Promise<H | undefined> {
  let timer: NodeJS.Timeout | undefined;
  reader.reset();
  try {
    return await channel.take((chunk) => {
      const head = reader.push(chunk);
      if (head !== undefined) channel.unread(reader.rest);
      else timer ??= setTimeout(() => channel.abandon('too-slow'), timeoutMs);
      return head;
    });
  } finally {
    clearTimeout(timer);
  }
}
