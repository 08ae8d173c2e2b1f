import type { Evidence } from '../../core/conversation.ts';
import type { Destination } from '../../core/destination.ts';
import { Refusal } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { takeHead } from '../../stream/heads.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import { parseRequestHead, type RequestHead } from '../../wire/http1/request-head.ts';
import { type Client, headEvidence, type ProxyContext, type ProxyConversation } from './client.ts';
import { hasPassed } from './forwarded-head.ts';
import { isOwnHost, OwnHostRequest } from './own-host.ts';
import { ForwardedRequest } from './request.ts';
import { readTarget, type Target } from './target.ts';
import { Tunnel } from './tunnel.ts';
import { Unreadable } from './unreadable.ts';

const MAX_FIELDS = 256;

/** What connections must know of a drain: whether it has begun, and who waits for a request that shall not come. */
export interface Drain {
  begun: boolean;
  readonly waiting: Set<Channel>;
}

/**
 * Reads one request after the other from a client and sends each down the path of an exchange, until either side has
 * had enough. Ends the connection unless a tunnel took it over.
 */
export async function serveClient(
  client: Client,
  proxy: ProxyContext,
  drain: Drain,
): Promise<void> {
  await serveRequests(client, proxy, drain, undefined);
  client.channel.end();
}

interface Inside {
  readonly destination: Destination;
  readonly evidence: Evidence;
}

/** @param inside the CONNECT that these requests came through, whose identity is theirs and whose host is the only one */
async function serveRequests(
  client: Client,
  proxy: ProxyContext,
  drain: Drain,
  inside: Inside | undefined,
): Promise<void> {
  const { limits, timeouts } = proxy.config;
  const reader = new HeadReader(parseRequestHead, { bytes: limits.headBytes, fields: MAX_FIELDS });
  const serveInside = (destination: Destination, evidence: Evidence) =>
    serveRequests(client, proxy, drain, { destination, evidence });
  for (let more = true; more; ) {
    const head = await nextHead(client, reader, timeouts.headMs, drain);
    if (head === undefined) return;
    const conversation = converse(client, proxy, head, inside, serveInside);
    if (conversation instanceof OwnHostRequest) await conversation.answerPage();
    else await proxy.run(conversation);
    more = conversation.keepAlive && !drain.begun;
  }
}

/** The next head, the fault in it, or undefined when there will be none. */
async function nextHead(
  client: Client,
  reader: HeadReader<RequestHead>,
  timeoutMs: number,
  drain: Drain,
): Promise<RequestHead | Refusal | undefined> {
  drain.waiting.add(client.channel);
  try {
    return await takeHead(client.channel, reader, timeoutMs);
  } catch (error) {
    if (error instanceof FramingError) return new Refusal('request-invalid', error.message);
    if (!(error instanceof ChannelLost)) throw error;
    if (error.code !== 'too-slow') return undefined;
    return new Refusal('request-invalid', 'the head did not arrive in time');
  } finally {
    drain.waiting.delete(client.channel);
  }
}

type AnyConversation = Tunnel | ForwardedRequest | Unreadable | OwnHostRequest;

function converse(
  client: Client,
  proxy: ProxyContext,
  head: RequestHead | Refusal,
  inside: Inside | undefined,
  serveInside: (within: Destination, evidence: Evidence) => Promise<void>,
): AnyConversation & ProxyConversation {
  if (head instanceof Refusal) return new Unreadable(client, proxy, undefined, head);
  try {
    const target = vetTarget(head, proxy, inside);
    const evidence = inside?.evidence ?? headEvidence(client, head);
    if (head.method === 'CONNECT')
      return new Tunnel(client, proxy, head, target.destination, serveInside);
    if (isOwnHost(target.destination))
      return new OwnHostRequest(client, proxy, head, target, evidence);
    return new ForwardedRequest(client, proxy, head, target, evidence);
  } catch (error) {
    if (error instanceof Refusal) return new Unreadable(client, proxy, head, error);
    if (!(error instanceof FramingError)) throw error;
    return new Unreadable(client, proxy, head, new Refusal('request-invalid', error.message));
  }
}

function vetTarget(head: RequestHead, proxy: ProxyContext, inside: Inside | undefined): Target {
  const target = readTarget(head, inside?.destination);
  if (hasPassed(head, proxy.via)) {
    throw new Refusal('loop', 'the request has already passed this gateway');
  }
  return target;
}
