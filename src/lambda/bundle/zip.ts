import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipEntry {
  readonly name: string;
  readonly content: Buffer;
}

/** 1980-01-01 00:00, the first time that there is in a zip. */
const DATE = 0x0021;
/** A regular file that everybody may read: -rw-r--r--. */
const MODE = 0o100644;
const VERSION = 20;
const MADE_BY_UNIX = (3 << 8) | VERSION;
const UTF8_NAMES = 0x0800;
const DEFLATED = 8;

/**
 * A zip (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) that is the same whenever and wherever it is made of the
 * same files: in the order of their names, with one date and one set of rights.
 */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content } of sorted) {
    const packed = deflateRawSync(content, { level: 9 });
    const nameBytes = Buffer.from(name, 'utf8');
    const common = commonFields(content, packed, nameBytes);
    const file = Buffer.concat([uint32(0x04034b50), common, nameBytes, packed]);
    directory.push(directoryEntry(common, nameBytes, offset));
    files.push(file);
    offset += file.length;
  }
  const entriesBytes = Buffer.concat(directory);
  return Buffer.concat([...files, entriesBytes, endOf(sorted.length, entriesBytes.length, offset)]);
}

/** What a file's own header and its entry in the directory have in common. */
function commonFields(content: Buffer, packed: Buffer, name: Buffer): Buffer {
  return Buffer.concat([
    uint16(VERSION, UTF8_NAMES, DEFLATED, 0, DATE),
    uint32(crc32(content), packed.length, content.length),
    uint16(name.length, 0),
  ]);
}

function directoryEntry(common: Buffer, name: Buffer, offset: number): Buffer {
  return Buffer.concat([
    uint32(0x02014b50),
    uint16(MADE_BY_UNIX),
    common,
    uint16(0, 0, 0),
    uint32(MODE * 0x10000, offset),
    name,
  ]);
}

function endOf(count: number, length: number, offset: number): Buffer {
  return Buffer.concat([
    uint32(0x06054b50),
    uint16(0, 0, count, count),
    uint32(length, offset),
    uint16(0),
  ]);
}

function uint16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [i, value] of values.entries()) bytes.writeUInt16LE(value, i * 2);
  return bytes;
}

function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, i * 4);
  return bytes;
}
