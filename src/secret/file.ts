import { closeSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { Fault } from '../core/diagnostic.ts';
import type { SecretSource } from './source.ts';

const MAX_BYTES = 64 * 1024;

/** A file with nothing but the secret; one newline at its end, which editors add, is dropped. */
export const fileSource: SecretSource<'file'> = {
  describe: ({ path }) => `file ${basename(path)}`,
  read({ path }, { files }) {
    const bytes = files?.read(path) ?? readSecretFile(path);
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      return text.replace(/\r?\n$/, '');
    } catch {
      // The error of the decoder adds nothing, and quoting bytes would show them.
      throw new Fault(`the secret file ${path} is not UTF-8`, 'save it as UTF-8 text');
    }
  },
};

/** @throws Fault when it cannot be read, or is too large for a secret */
export function readSecretFile(path: string): Buffer {
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        read = readSync(file, buffer, length, buffer.length - length, null);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw code === 'ENOENT'
      ? new Fault(`the secret file ${path} is missing`, 'create it, or correct the path')
      : new Fault(`the secret file ${path} cannot be read (${code})`, 'make it readable here');
  }
  if (length <= MAX_BYTES) return buffer.subarray(0, length);
  throw new Fault(`the secret file ${path} is larger than 64KiB`, 'name a file with one secret');
}
