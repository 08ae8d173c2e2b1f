import { Refusal } from '../../core/refusal.ts';
import { Channel, ChannelLost } from '../../stream/channel.ts';
import { takeHead } from '../../stream/heads.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import { parseRequestHead, type RequestHead } from '../../wire/http1/request-head.ts';
import {
  type Client,
  headEvidence,
  MAX_FIELDS,
  type ProxyContext,
  type ProxyConversation,
} from './client.ts';
import type { Drain } from './drain.ts';
import type { Inside, ServeInside } from './inside.ts';
import { isOwnHost, OwnHostRequest, OwnHostTunnel } from './own-host.ts';
import type { Rejection } from './rejection.ts';
import { ForwardedRequest } from './request.ts';
import { readTarget, type Target } from './target.ts';
import { Tunnel } from './tunnel.ts';
import { Unreadable } from './unreadable.ts';
import { hasPassed } from './via.ts';

/**
 * Reads one request after the other from a client and sends each down the path of an exchange, until either side has
 * had enough. Ends the connection unless a tunnel took it over.
 *
 * @returns why there was not even one request
 */
export async function serveClient(
  client: Client,
  proxy: ProxyContext,
  drain: Drain,
): Promise<Rejection | undefined> {
  const rejection = await serveRequests(client, proxy, drain, undefined);
  client.channel.end();
  return rejection;
}

/** @param inside the CONNECT that these requests came through */
async function serveRequests(
  client: Client,
  proxy: ProxyContext,
  drain: Drain,
  inside: Inside | undefined,
): Promise<Rejection | undefined> {
  const { limits, timeouts } = proxy.config;
  const reader = new HeadReader(parseRequestHead, { bytes: limits.headBytes, fields: MAX_FIELDS });
  const serveInside: ServeInside = (within) => serveTunnel(client, proxy, drain, within);
  for (let first = true, more = true; more; first = false) {
    const head = await nextHead(client, reader, { timeoutMs: timeouts.headMs, first }, drain);
    if (head === undefined || typeof head === 'string') return first ? head : undefined;
    const conversation = converse(client, proxy, head, inside, serveInside);
    await answer(conversation, client, proxy);
    more = conversation.keepAlive && !drain.begun;
  }
  return undefined;
}

/** Serves what comes inside a tunnel. */
async function serveTunnel(
  client: Client,
  proxy: ProxyContext,
  drain: Drain,
  inside: Inside,
): Promise<Rejection | undefined> {
  const { carrier } = inside;
  const left = inside.drain.join(drain);
  try {
    if (carrier instanceof Channel)
      return await serveRequests({ ...client, channel: carrier }, proxy, inside.drain, inside);
    // Few tunnels need it.
    const { serveSession } = await import('./session.ts');
    const none: ServeInside = () => Promise.reject(new TypeError('a tunnel inside a tunnel'));
    return await serveSession(carrier, { client, proxy, drain: inside.drain }, (stream, head) =>
      answer(converse(stream, proxy, head, inside, none), stream, proxy),
    );
  } finally {
    left();
  }
}

async function answer(
  conversation: AnyConversation & ProxyConversation,
  { channel }: Client,
  proxy: ProxyContext,
): Promise<void> {
  // While the client waits for its answer, what limits the time is the side that has to give it.
  channel.limitIdle(0);
  if (isOwn(conversation)) await conversation.answerOwn();
  else await proxy.run(conversation);
  channel.limitIdle(proxy.config.timeouts.idleMs);
}

/** The next head, the fault in it, or why there will be none: undefined where the gateway itself wants no more. */
async function nextHead(
  client: Client,
  reader: HeadReader<RequestHead>,
  { timeoutMs, first }: { timeoutMs: number; first: boolean },
  drain: Drain,
): Promise<RequestHead | Refusal | Rejection | undefined> {
  const { channel } = client;
  if (drain.begun) return undefined;
  const place = drain.waiting.add(channel);
  try {
    // Whoever asks on without taking the answers would have them all kept here.
    if (channel.isFull) await channel.drained();
    // Whoever connects has something to say: only between two requests is there reason to be silent for long.
    const head = await takeHead(channel, reader, timeoutMs, first);
    return head ?? (reader.started ? 'closed-within-a-head' : 'closed-before-a-byte');
  } catch (error) {
    if (error instanceof FramingError) return new Refusal('request-invalid', error.message);
    if (!(error instanceof ChannelLost)) throw error;
    return withoutHead(error, reader.started);
  } finally {
    drain.waiting.delete(place);
  }
}

function withoutHead(lost: ChannelLost, started: boolean): Refusal | Rejection | undefined {
  switch (lost.code) {
    case 'abandoned':
      return undefined;
    case 'reset':
      return started ? 'closed-within-a-head' : 'closed-before-a-byte';
    case 'idle':
    case 'too-slow':
      if (!started) return 'silent';
      return new Refusal('request-invalid', 'the head did not arrive in time');
  }
}

type AnyConversation = Tunnel | ForwardedRequest | Unreadable | OwnHostRequest;

function isOwn(conversation: AnyConversation): conversation is OwnHostRequest | OwnHostTunnel {
  return conversation instanceof OwnHostRequest || conversation instanceof OwnHostTunnel;
}

function converse(
  client: Client,
  proxy: ProxyContext,
  head: RequestHead | Refusal,
  inside: Inside | undefined,
  serveInside: ServeInside,
): AnyConversation & ProxyConversation {
  if (head instanceof Refusal) return new Unreadable(client, proxy, undefined, head);
  if (client.unwelcome !== undefined) return new Unreadable(client, proxy, head, client.unwelcome);
  try {
    const target = vetTarget(head, proxy, inside);
    const { destination } = target;
    const evidence = inside?.evidence ?? headEvidence(client, head);
    const [AnyTunnel, AnyRequest] = isOwnHost(destination)
      ? [OwnHostTunnel, OwnHostRequest]
      : [Tunnel, ForwardedRequest];
    if (head.method === 'CONNECT')
      return new AnyTunnel(client, proxy, head, destination, serveInside);
    return new AnyRequest(client, proxy, head, target, evidence);
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
