import { type Authority, hostText } from '../core/destination.ts';
import { Ip } from '../core/ip.ts';
import { UpstreamError } from '../core/refusal.ts';
import { Channel } from '../stream/channel.ts';
import { takeHead } from '../stream/heads.ts';
import { nodeSocket } from '../tcp/native-socket.ts';
import { BodyReader } from '../wire/http1/body.ts';
import { responseFraming } from '../wire/http1/framing.ts';
import { HeadReader } from '../wire/http1/head-reader.ts';
import { parseResponseHead } from '../wire/http1/response-head.ts';
import { HeadWriter } from '../wire/http1/writer.ts';
import { commonTrust, startTls } from './client-tls.ts';
import type { Aim, Dialled, DialTerms, WayOut } from './way-out.ts';

/** A server that answers with the address that it sees: `203.0.113.10`, or `{"ip":"203.0.113.10"}`. */
export interface Echo extends Required<Authority> {
  readonly port: number;
  readonly isSecure: boolean;
  /** With its query. */
  readonly path: string;
}

const HEAD_LIMITS = { bytes: 16_384, fields: 100 };
/** An address needs 45 bytes. */
const MOST_BYTES = 1_024;

/**
 * Leaves by a way and asks which address is seen. `terms.timeoutMs` holds for each of dial, handshake and answer.
 *
 * @param addresses of the echo; none where a parent proxy resolves
 * @throws UpstreamError saying what stood in the way, ChannelLost, FramingError
 */
export async function askEcho(
  way: WayOut,
  echo: Echo,
  addresses: readonly Ip[],
  terms: DialTerms,
): Promise<Ip> {
  const { host, port, isSecure } = echo;
  const aim: Aim = { destination: { scheme: isSecure ? 'tunnel' : 'http', host, port }, addresses };
  const dialled = await (isSecure ? way.dial(aim, terms) : way.dialForRequests(aim, terms));
  const channel = isSecure ? await secured(dialled, echo, terms) : dialled.stream;
  try {
    channel.write(requestHead(echo, dialled));
    return readAddress(await readAnswer(channel, terms.timeoutMs));
  } finally {
    channel.destroy();
  }
}

async function secured({ stream }: Dialled, { host }: Echo, terms: DialTerms): Promise<Channel> {
  const { socket, early } = stream.release();
  const secure = await startTls(nodeSocket(socket, early), host, commonTrust(), terms.timeoutMs);
  return new Channel(secure, terms.idleMs);
}

function requestHead({ host, port, isSecure, path }: Echo, { parent }: Dialled): Buffer {
  const authority = port === (isSecure ? 443 : 80) ? hostText(host) : `${hostText(host)}:${port}`;
  const absolute = parent?.absolute;
  const target = absolute === undefined ? path : `http://${authority}${path}`;
  const head = new HeadWriter(`GET ${target} HTTP/1.1`).set('Host', authority);
  absolute?.authorize(head);
  return head.set('Accept', 'text/plain, application/json').set('Connection', 'close').toBuffer();
}

async function readAnswer(channel: Channel, timeoutMs: number): Promise<string> {
  const head = await takeHead(
    channel,
    new HeadReader(parseResponseHead, HEAD_LIMITS),
    timeoutMs,
    true,
  );
  if (head === undefined) throw noAddress('it closes without an answer');
  if (head.status !== 200) throw noAddress(`it answers ${head.status}`);
  const body = new BodyReader(responseFraming(head, 'GET'));
  const pieces: Buffer[] = [];
  let bytes = 0;
  const keep = (piece: Buffer) => {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MOST_BYTES) throw noAddress(`it answers with more than ${MOST_BYTES} bytes`);
  };
  const timer = setTimeout(() => channel.abandon('too-slow'), timeoutMs);
  try {
    while (!body.done) {
      const more = await channel.take((chunk) => {
        body.push(chunk, keep);
        return true;
      });
      if (more === undefined) body.end();
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(pieces).toString('latin1');
}

function readAddress(text: string): Ip {
  const ip = Ip.parse(text.trim()) ?? Ip.parse(ipOf(text));
  if (ip === undefined) throw noAddress('it answers with no address');
  return ip;
}

function ipOf(text: string): string {
  try {
    return String((JSON.parse(text) as { ip?: unknown } | null)?.ip);
  } catch {
    return '';
  }
}

function noAddress(what: string): UpstreamError {
  return new UpstreamError('upstream-reset', what);
}
