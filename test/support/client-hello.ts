/** ClientHellos put together by hand, so that a test can send what no TLS library does. */

/** A TLS record that holds (a part of) a handshake message. */
export function record(fragment: Buffer): Buffer {
  const header = Buffer.from([22, 3, 1, 0, 0]);
  header.writeUInt16BE(fragment.length, 3);
  return Buffer.concat([header, fragment]);
}

/** A vector: its length in `size` bytes, then its content. */
export function vector(size: 1 | 2 | 3, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const length = Buffer.alloc(size);
  length.writeUIntBE(body.length, 0, size);
  return Buffer.concat([length, body]);
}

export function extension(type: number, ...content: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([type >> 8, type & 0xff]), vector(2, ...content)]);
}

/** One entry of the list in a `server_name` extension (type 0). */
export function serverName(name: string, type = 0): Buffer {
  return Buffer.concat([Buffer.from([type]), vector(2, Buffer.from(name, 'latin1'))]);
}

export interface Parts {
  readonly version?: Buffer;
  readonly session?: Buffer;
  readonly suites?: Buffer;
  readonly compression?: Buffer;
  /** undefined: a hello that ends before its extensions */
  readonly extensions?: readonly Buffer[] | undefined;
  readonly garbage?: Buffer;
}

/** The handshake message with what is given, and the rest plain. */
export function message(parts: Parts): Buffer {
  const body = [
    parts.version ?? Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    parts.session ?? vector(1, Buffer.alloc(32, 9)),
    parts.suites ?? vector(2, Buffer.from([0x13, 0x01])),
    parts.compression ?? vector(1, Buffer.from([0])),
    ...('extensions' in parts && parts.extensions === undefined
      ? []
      : [vector(2, ...(parts.extensions ?? []))]),
    parts.garbage ?? Buffer.alloc(0),
  ];
  return Buffer.concat([Buffer.from([1]), vector(3, ...body)]);
}

/** A ClientHello with these extensions, in one record. */
export function hello(...extensions: readonly Buffer[]): Buffer {
  return record(message({ extensions }));
}
