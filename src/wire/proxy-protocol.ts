import { SekishoError } from '../core/errors.ts';
import { Ip } from '../core/ip.ts';
import { Gathering } from './gathering.ts';

/** The client that a balancer speaks for (HAProxy, "The PROXY protocol", versions 1 and 2). */
export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Undefined for LOCAL, UNKNOWN, UNSPEC and AF_UNIX: the peer's own address stands. */
  readonly source: { readonly ip: Ip; readonly port: number } | undefined;
}

/** The connection does not begin with a PROXY header of version 1 or 2. Nothing behind it can be trusted. */
export class ProxyHeaderError extends SekishoError {
  constructor(message: string) {
    super('proxy-header-invalid', message);
    this.name = 'ProxyHeaderError';
  }
}

const EMPTY = Buffer.alloc(0);
const V1_PREFIX = Buffer.from('PROXY ');
/** The longest line, its CRLF included. */
const V1_MAX = 107;
const V2_PREFIX = Buffer.from('\r\n\r\n\0\r\nQUIT\n');
const V2_FIXED = 16;
/** Addresses and TLVs: HAProxy with every TLV switched on stays below half of it. */
const V2_MAX_VARIABLE = 2048;

/** Reads the header that stands before everything else on a connection. */
export class ProxyHeaderReader {
  readonly #gathering = new Gathering();
  #rest: Buffer = EMPTY;

  /** The bytes behind the header, once `push` returned one. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** Returns the header as soon as it is whole. @throws ProxyHeaderError at the first wrong byte of the prefix */
  push(chunk: Buffer): ProxyHeader | undefined {
    const bytes = this.#gathering.add(chunk);
    if (bytes.length === 0) return undefined;
    const binary = bytes[0] === V2_PREFIX[0];
    requirePrefix(bytes, binary ? V2_PREFIX : V1_PREFIX);
    const length = binary ? lengthOfV2(bytes) : lengthOfV1(bytes);
    if (length === undefined || bytes.length < length) return undefined;
    this.#rest = bytes.subarray(length);
    const header = bytes.subarray(0, length);
    return binary ? parseV2(header) : parseV1(header);
  }
}

function requirePrefix(bytes: Buffer, prefix: Buffer): void {
  const length = Math.min(bytes.length, prefix.length);
  if (bytes.compare(prefix, 0, length, 0, length) !== 0) {
    throw new ProxyHeaderError('the connection does not begin with a PROXY header');
  }
}

function lengthOfV1(bytes: Buffer): number | undefined {
  const lf = bytes.indexOf('\n');
  if (lf >= V1_MAX || (lf < 0 && bytes.length >= V1_MAX)) {
    throw new ProxyHeaderError(`the PROXY line exceeds ${V1_MAX} bytes`);
  }
  return lf < 0 ? undefined : lf + 1;
}

const V1_LINE = /^PROXY (?:(UNKNOWN)(?: [\x20-\x7e]*)?|TCP([46]) (\S+) (\S+) (\S+) (\S+))\r\n$/;

function parseV1(header: Buffer): ProxyHeader {
  const match = V1_LINE.exec(header.toString('latin1'));
  if (match === null) throw new ProxyHeaderError('the PROXY line is malformed');
  const [, unknown, family, source, destination, sourcePort, destinationPort] = match;
  if (unknown !== undefined) return { version: 1, source: undefined };
  // The destination is what the balancer was dialled at: of no use here, but a line is right as a whole or not at all.
  parseV1Address(family, destination);
  parseV1Port(destinationPort);
  const ip = parseV1Address(family, source);
  return { version: 1, source: { ip, port: parseV1Port(sourcePort) } };
}

function parseV1Address(family: string | undefined, text = ''): Ip {
  const ip = Ip.parse(text);
  if (ip === undefined || text.includes(':') !== (family === '6')) {
    throw new ProxyHeaderError('an address in the PROXY line is not of its family');
  }
  return ip;
}

function parseV1Port(text = ''): number {
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(text) || Number(text) > 65535) {
    throw new ProxyHeaderError('a port in the PROXY line is not a number from 0 to 65535');
  }
  return Number(text);
}

/** Checks the fixed part on the way, as far as it has come. */
function lengthOfV2(bytes: Buffer): number | undefined {
  if (bytes.length > 12 && !V2_COMMANDS.has(bytes[12] as number)) {
    throw new ProxyHeaderError('the PROXY header has another version or command');
  }
  if (bytes.length > 13 && bytes[12] !== LOCAL && !V2_FAMILIES.has(bytes[13] as number)) {
    throw new ProxyHeaderError('the PROXY header has another family or transport');
  }
  if (bytes.length < V2_FIXED) return undefined;
  const variable = bytes.readUInt16BE(14);
  if (variable > V2_MAX_VARIABLE) {
    throw new ProxyHeaderError(`the PROXY header exceeds ${V2_MAX_VARIABLE} bytes`);
  }
  return V2_FIXED + variable;
}

const LOCAL = 0x20;
const V2_COMMANDS = new Set([LOCAL, 0x21]);
/** Bytes of one address by family and transport: UNSPEC, then TCP over IPv4, IPv6 and UNIX. */
const V2_FAMILIES = new Map([
  [0x00, 0],
  [0x11, 4],
  [0x21, 16],
  [0x31, 108],
]);

function parseV2(header: Buffer): ProxyHeader {
  // LOCAL is the balancer's own health check; whatever family and addresses it carries are to be ignored.
  if (header[12] === LOCAL) return { version: 2, source: undefined };
  const size = V2_FAMILIES.get(header[13] as number) as number;
  const hasPorts = size === 4 || size === 16;
  if (header.length < V2_FIXED + 2 * size + (hasPorts ? 4 : 0)) {
    throw new ProxyHeaderError('the PROXY header is too short for its addresses');
  }
  if (!hasPorts) return { version: 2, source: undefined };
  const ip = Ip.fromBytes(header.subarray(V2_FIXED, V2_FIXED + size));
  return { version: 2, source: { ip, port: header.readUInt16BE(V2_FIXED + 2 * size) } };
}
