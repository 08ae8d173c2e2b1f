import { SekishoError } from '../core/errors.ts';
import { Gathering } from './gathering.ts';

/** What a TLS client says of itself before anything is encrypted. */
export interface ClientHello {
  /** The server name in lower case, null when there is none. With ECH: the outer one. */
  readonly sni: string | null;
  /** Protocol names as sent, latin1. */
  readonly alpn: readonly string[];
}

/** The bytes are no TLS, or no ClientHello that every reader would read alike. */
export class NotTls extends SekishoError {
  constructor(message: string) {
    super('not-tls', message);
    this.name = 'NotTls';
  }
}

/** Fatal alert `access_denied` (49) as a TLS record, to be sent where a ServerHello would stand (RFC 8446 6). */
export const ACCESS_DENIED_ALERT: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 49]);

const MAX_BYTES = 64 * 1024;
const MAX_FRAGMENT = 2 ** 14;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const ALPN = 16;

/**
 * Reads the first message of a TLS client, however it is cut into records (RFC 8446 5.1) and segments.
 *
 * Bytes are checked as they come, so that what is not TLS fails at its first wrong byte.
 */
export class ClientHelloReader {
  readonly #seen = new Gathering();
  readonly #message = new Gathering();
  /** How much of a record header has been read, and what its length field says so far. */
  #headerBytes = 0;
  #fragmentLeft = 0;

  /** Everything seen so far, to be sent on. */
  get bytes(): Buffer {
    return this.#seen.bytes;
  }

  /** Returns the ClientHello as soon as it is whole; what follows it is in `bytes` only. @throws NotTls */
  push(chunk: Buffer): ClientHello | undefined {
    this.#seen.add(chunk);
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < RECORD_HEADER) {
        this.#takeHeader(chunk[at++] as number);
        continue;
      }
      const end = Math.min(at + this.#fragmentLeft, chunk.length);
      const message = this.#takeFragment(chunk.subarray(at, end));
      if (message !== undefined) return parseClientHello(message);
      at = end;
    }
    if (this.#seen.length > MAX_BYTES) throw new NotTls('the ClientHello exceeds 64 KiB');
    return undefined;
  }

  #takeHeader(byte: number): void {
    const at = this.#headerBytes++;
    if (at === 0 && byte !== HANDSHAKE) throw new NotTls('the record is no TLS handshake');
    // SSL 3.0 to TLS 1.3; the real version is in the message.
    if (at === 1 && byte !== 3) throw new NotTls('the record has no TLS version');
    if (at === 2 && byte > 4) throw new NotTls('the record has no TLS version');
    if (at >= 3) this.#fragmentLeft = this.#fragmentLeft * 256 + byte;
    if (at === 3 && byte * 256 > MAX_FRAGMENT) throw new NotTls('the record is too long');
    if (at < RECORD_HEADER - 1) return;
    if (this.#fragmentLeft === 0) throw new NotTls('the record is empty');
    if (this.#fragmentLeft > MAX_FRAGMENT) throw new NotTls('the record is too long');
  }

  /** Returns the message without its header once it is whole. */
  #takeFragment(fragment: Buffer): Buffer | undefined {
    this.#fragmentLeft -= fragment.length;
    if (this.#fragmentLeft === 0) this.#headerBytes = 0;
    const message = this.#message.add(fragment);
    if (message[0] !== CLIENT_HELLO) throw new NotTls('the first message is no ClientHello');
    if (message.length < MESSAGE_HEADER) return undefined;
    const length = MESSAGE_HEADER + message.readUIntBE(1, 3);
    if (length > MAX_BYTES) throw new NotTls('the ClientHello exceeds 64 KiB');
    if (message.length < length) return undefined;
    // A client has nothing to say behind its hello before the server answers.
    if (message.length > length || this.#fragmentLeft > 0) {
      throw new NotTls('another message follows in the same record');
    }
    return message.subarray(MESSAGE_HEADER);
  }
}

function parseClientHello(message: Buffer): ClientHello {
  const cursor = new Cursor(message);
  if (cursor.number(1) !== 3) throw malformed('version');
  cursor.skip(1);
  cursor.skip(32);
  if (cursor.vector(1).length > 32) throw malformed('session id');
  const suites = cursor.vector(2).length;
  if (suites === 0 || suites % 2 !== 0) throw malformed('list of cipher suites');
  if (cursor.vector(1).length === 0) throw malformed('list of compression methods');
  // TLS 1.2 and earlier may end here (RFC 5246 7.4.1.2).
  const extensions = cursor.ended ? new Map<number, Buffer>() : parseExtensions(cursor.vector(2));
  cursor.end('message');
  const names = extensions.get(SERVER_NAME);
  const protocols = extensions.get(ALPN);
  return {
    sni: names === undefined ? null : parseServerName(names),
    alpn: protocols === undefined ? [] : parseProtocols(protocols),
  };
}

/** RFC 8446 4.2: none may stand twice, and a second SNI is what a bypass is made of. */
function parseExtensions(bytes: Buffer): Map<number, Buffer> {
  const cursor = new Cursor(bytes);
  const extensions = new Map<number, Buffer>();
  while (!cursor.ended) {
    const type = cursor.number(2);
    if (extensions.has(type)) throw new NotTls('the ClientHello has an extension twice');
    extensions.set(type, cursor.vector(2));
  }
  return extensions;
}

/** RFC 6066 3: one name of each type, and host_name is the only type there is. */
function parseServerName(bytes: Buffer): string {
  const extension = new Cursor(bytes);
  const list = new Cursor(extension.vector(2));
  extension.end('server name');
  if (list.number(1) !== HOST_NAME) throw malformed('server name');
  const name = list.vector(2).toString('latin1');
  list.end('server name');
  if (!/^[\x21-\x7e]{1,255}$/.test(name)) throw malformed('server name');
  return name.toLowerCase();
}

/** RFC 7301 3.1. */
function parseProtocols(bytes: Buffer): string[] {
  const extension = new Cursor(bytes);
  const list = new Cursor(extension.vector(2));
  extension.end('list of protocols');
  const protocols: string[] = [];
  while (!list.ended) {
    const protocol = list.vector(1);
    if (protocol.length === 0) throw malformed('list of protocols');
    protocols.push(protocol.toString('latin1'));
  }
  if (protocols.length === 0) throw malformed('list of protocols');
  return protocols;
}

/** Walks over TLS presentation language (RFC 8446 3): numbers, and vectors that their length stands before. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(length: number): Buffer {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) throw new NotTls('a length in the ClientHello is wrong');
    return this.#bytes.subarray(start, this.#at);
  }

  number(size: 1 | 2): number {
    return this.skip(size).readUIntBE(0, size);
  }

  vector(sizeOfLength: 1 | 2): Buffer {
    return this.skip(this.number(sizeOfLength));
  }

  /** @throws NotTls unless nothing is left */
  end(part: string): void {
    if (!this.ended) throw malformed(part);
  }
}

function malformed(part: string): NotTls {
  return new NotTls(`the ${part} of the ClientHello is malformed`);
}
