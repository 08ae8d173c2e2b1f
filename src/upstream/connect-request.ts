import type { Trail } from '../core/conversation.ts';
import { UpstreamError } from '../core/refusal.ts';
import { type Channel, ChannelLost } from '../stream/channel.ts';
import { takeHead } from '../stream/heads.ts';
import { FramingError } from '../wire/http1/framing-error.ts';
import { HeadReader } from '../wire/http1/head-reader.ts';
import { parseResponseHead } from '../wire/http1/response-head.ts';
import { HeadWriter } from '../wire/http1/writer.ts';

/** Far beyond what a proxy says to a CONNECT. */
const ANSWER_LIMITS = { bytes: 16_384, fields: 100 };

/** The parent proxy was reached, and gives no tunnel. The message is a clause about it. */
export class NoTunnel extends UpstreamError {
  /** Whether it may still give one to another address of the same destination. */
  readonly isFinal: boolean;

  constructor(
    code: 'connect-failed' | 'connect-timeout',
    message: string,
    options: ErrorOptions & { isFinal?: boolean } = {},
  ) {
    super(code, message, options);
    this.name = 'NoTunnel';
    this.isFinal = options.isFinal ?? false;
  }
}

/** @param authority `192.0.2.7:443` */
export function connectHead(authority: string, trail: Trail | undefined): HeadWriter {
  const head = new HeadWriter(`CONNECT ${authority} HTTP/1.1`).set('Host', authority);
  return trail === undefined ? head : head.set('Via', trail());
}

/**
 * Asks a parent proxy for a tunnel (RFC 9110 9.3.6). What it sends behind its 2xx stays in the channel; the body of a
 * refusal is not read.
 *
 * @throws NoTunnel: the channel is of no more use then
 */
export async function requestTunnel(
  channel: Channel,
  head: HeadWriter,
  timeoutMs: number,
): Promise<void> {
  channel.write(head.toBuffer());
  const reader = new HeadReader(parseResponseHead, ANSWER_LIMITS);
  const answer = await takeHead(channel, reader, timeoutMs, true).catch((error: unknown) => {
    throw asNoTunnel(error);
  });
  if (answer === undefined) throw new NoTunnel('connect-failed', 'it closes without an answer');
  const { status } = answer;
  if (status >= 200 && status <= 299) return;
  // Another try with the same credential would be one more wrong password.
  throw new NoTunnel('connect-failed', `it answers ${status}`, { isFinal: status === 407 });
}

function asNoTunnel(cause: unknown): unknown {
  if (cause instanceof FramingError) {
    const message = `it answers with no plainly valid HTTP: ${cause.message}`;
    return new NoTunnel('connect-failed', message, { cause, isFinal: true });
  }
  if (!(cause instanceof ChannelLost)) return cause;
  return cause.code === 'reset'
    ? new NoTunnel('connect-failed', 'it breaks the connection', { cause })
    : new NoTunnel('connect-timeout', 'it does not answer in time', { cause });
}
