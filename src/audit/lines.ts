import type { FileHandle } from 'node:fs/promises';

const NEWLINE = 0x0a;
const BLOCK_BYTES = 64 * 1024;

/** Whole lines of a file, and where in the file they end. */
export interface Lines {
  readonly bytes: Buffer;
  readonly end: number;
}

/** For whoever reads all of a large file. */
export const LARGE_BLOCK_BYTES = 1024 * 1024;

/** Reads whole lines from an offset on, a block at a time. A last line without its newline is left for later. */
export async function* readForward(
  file: FileHandle,
  from: number,
  blockBytes = BLOCK_BYTES,
): AsyncGenerator<Lines> {
  let rest: Buffer = Buffer.alloc(0);
  let end = from;
  for (;;) {
    const block = await readBlock(file, end + rest.length, blockBytes);
    if (block.length === 0) return;
    const bytes = Buffer.concat([rest, block]);
    const whole = bytes.lastIndexOf(NEWLINE) + 1;
    rest = bytes.subarray(whole);
    end += whole;
    if (whole > 0) yield { bytes: bytes.subarray(0, whole), end };
  }
}

/** Reads whole lines before an offset, a block at a time and the last ones first. */
export async function* readBackward(file: FileHandle, before: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for (let end = before; end > 0; ) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const bytes = Buffer.concat([await readBlock(file, start, end - start), rest]);
    const whole = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
    // Without a newline all of it belongs to a line that begins further up.
    const cut = start > 0 && whole === 0 ? bytes.length : whole;
    rest = bytes.subarray(0, cut);
    end = start;
    if (cut < bytes.length) yield bytes.subarray(cut);
  }
}

async function readBlock(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/** Where the last whole line ends that stands before an offset. */
export async function lastLineEnd(file: FileHandle, before: number): Promise<number> {
  for (let end = before; end > 0; ) {
    const start = Math.max(0, end - BLOCK_BYTES);
    const newline = (await readBlock(file, start, end - start)).lastIndexOf(NEWLINE);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}
