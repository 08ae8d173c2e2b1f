import type { HeadReader } from '../wire/http1/head-reader.ts';
import type { Channel } from './channel.ts';

/**
 * The next head on a channel, or undefined when the peer ended the connection before one began.
 *
 * From its first byte on a head must be complete within `timeoutMs`, however slowly it drips; before that only the
 * channel's idle limit counts, unless the head is `due`: then its time runs from now on.
 *
 * @throws FramingError, ChannelLost (`too-slow`)
 */
export function takeHead<H>(
  channel: Channel,
  reader: HeadReader<H>,
  timeoutMs: number,
  due = false,
): Promise<H | undefined> {
  reader.reset();
  return channel.take(
    (chunk) => {
      const head = reader.push(chunk);
      if (head === undefined) channel.hurry(timeoutMs);
      else channel.unread(reader.rest);
      return head;
    },
    due ? timeoutMs : undefined,
  );
}
