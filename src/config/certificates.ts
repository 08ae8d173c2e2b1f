import { X509Certificate } from 'node:crypto';
import { dirname } from 'node:path';
import { Fault, quote } from '../core/diagnostic.ts';
import type { Position } from './config.ts';
import { besides, type FileReader } from './surroundings.ts';

/** Certificates of CAs, in PEM. @param at where the file is named @param reader takes the fault of one that cannot be used */
export function readCertificates(
  file: string,
  at: Position,
  reader: FileReader,
): string | undefined {
  const path = besides(dirname(at.file), file);
  const text = reader.read(path, at);
  if (text !== undefined && !isCertificates(text)) {
    const message = `${quote(path)} holds no certificate`;
    reader.faults.push(new Fault(message, 'name the CA certificate in PEM').at(at));
  }
  return text;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** OpenSSL takes text without a certificate for a store that trusts nobody, and says nothing. */
function isCertificates(text: string): boolean {
  const blocks = text.match(CERTIFICATE) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block)).length > 0;
  } catch {
    return false;
  }
}
