import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Ip } from '../../src/core/ip.ts';

/**
 * What the server says to one question. `silence`: nothing, ever. `garbage`: an answer cut off in its first record.
 * A name without addresses of the type that is asked for has NODATA.
 */
export type Reply = readonly string[] | 'nxdomain' | 'servfail' | 'silence' | 'garbage';

/** The reply to both questions, or one for each. */
export type Answers =
  | Reply
  | {
      readonly A?: Reply;
      readonly AAAA?: Reply;
      /** In seconds; default 60. */
      readonly ttl?: number;
      /** A CNAME that stands before the addresses, which then are those of this name. */
      readonly alias?: string;
      /** How long each question waits for its reply; default 0. */
      readonly delayMs?: { readonly A?: number; readonly AAAA?: number };
    };

export interface DnsServer {
  /** As `gateway.resolvers` takes it: `127.0.0.1:40053`. */
  readonly address: string;
  readonly server: { readonly ip: Ip; readonly port: number };
  /** Every question so far, in order: `A good.com`. */
  readonly queries: readonly string[];
  /** Names without an entry do not exist, unless there is one for `*`. */
  set(name: string, answers: Answers): void;
  close(): Promise<void>;
}

/** A DNS server on loopback, over UDP, for the names it is told. */
export async function startDns(zone: Readonly<Record<string, Answers>> = {}): Promise<DnsServer> {
  const names = new Map(Object.entries(zone));
  const queries: string[] = [];
  const timers = new Set<NodeJS.Timeout>();
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    const question = decode(message);
    queries.push(`${question.type} ${question.name}`);
    const answers = names.get(question.name) ?? names.get('*') ?? 'nxdomain';
    const packet = encode(question, answers);
    if (packet === undefined) return;
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        socket.send(packet, peer.port, peer.address);
      },
      delayOf(question.type, answers),
    );
    timers.add(timer);
  });
  const port = await bind(socket);
  return {
    address: `127.0.0.1:${port}`,
    server: { ip: Ip.parse('127.0.0.1') as Ip, port },
    queries,
    set: (name, answers) => names.set(name, answers),
    close: async () => {
      timers.forEach(clearTimeout);
      socket.close();
      await once(socket, 'close');
    },
  };
}

async function bind(socket: Socket): Promise<number> {
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket.address().port;
}

interface Question {
  readonly id: Buffer;
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  /** The question as it came in, to be sent back. */
  readonly bytes: Buffer;
}

// RFC 1035 section 4: a header of 12 bytes, then one question: labels, type, class.
const HEADER = 12;
const TYPES = { A: 1, CNAME: 5, AAAA: 28 } as const;
/** Section 4.1.4: stands for the name in the question. */
const POINTER = Buffer.from([0xc0, HEADER]);
const RCODES = { nxdomain: 3, servfail: 2 } as const;

function decode(message: Buffer): Question {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return {
    id: message.subarray(0, 2),
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(at + 1) === TYPES.AAAA ? 'AAAA' : 'A',
    bytes: message.subarray(HEADER, at + 5),
  };
}

function encode(question: Question, answers: Answers): Buffer | undefined {
  const reply = replyTo(question.type, answers);
  if (reply === 'silence') return undefined;
  if (reply === 'nxdomain' || reply === 'servfail') return response(question, RCODES[reply], []);
  const ttl = isPlain(answers) ? 60 : (answers.ttl ?? 60);
  if (reply === 'garbage') {
    return response(question, 0, [record(question.type, '192.0.2.1', ttl)]).subarray(0, -3);
  }
  const family = question.type === 'A' ? 4 : 6;
  const texts = reply.filter((text) => (text.includes(':') ? 6 : 4) === family);
  const alias = isPlain(answers) || answers.alias === undefined ? undefined : name(answers.alias);
  const addresses = texts.map((text) => record(question.type, text, ttl, alias));
  return response(
    question,
    0,
    alias === undefined ? addresses : [resource(POINTER, TYPES.CNAME, ttl, alias), ...addresses],
  );
}

function response(question: Question, rcode: number, records: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER);
  question.id.copy(header);
  // A response, recursion desired and available.
  header.writeUInt16BE(0x8180 | rcode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, question.bytes, ...records]);
}

function record(type: 'A' | 'AAAA', text: string, ttl: number, owner: Buffer = POINTER): Buffer {
  const ip = Ip.parse(text) as Ip;
  // A v4-mapped address reads as the IPv4 address inside, and goes out as it was written.
  const words = type === 'AAAA' && ip.family === 4 ? [0, 0, 0xffff, ...ip.words] : ip.words;
  return resource(owner, TYPES[type], ttl, Buffer.from(words.flatMap(octets)));
}

function resource(owner: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, head, data]);
}

function name(text: string): Buffer {
  const labels = text
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function octets(word: number): number[] {
  return [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff];
}

function isPlain(answers: Answers): answers is Reply {
  return typeof answers === 'string' || Array.isArray(answers);
}

function replyTo(type: 'A' | 'AAAA', answers: Answers): Reply {
  return isPlain(answers) ? answers : (answers[type] ?? []);
}

function delayOf(type: 'A' | 'AAAA', answers: Answers): number {
  return isPlain(answers) ? 0 : (answers.delayMs?.[type] ?? 0);
}

/** How often a name was asked for, both families together. */
export function queriesFor(dns: DnsServer, name: string): number {
  return dns.queries.filter((query) => query.endsWith(` ${name}`)).length;
}
