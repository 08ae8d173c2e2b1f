import type { z } from 'zod';
import { readCertificates } from './certificates.ts';
import type { InterceptConfig, SecretRef } from './config.ts';
import type { Merged } from './merge.ts';
import { secretRef, toSecretRef } from './secret-ref.ts';
import { line, section } from './shape.ts';
import type { FileReader } from './surroundings.ts';

const certificates = section({ file: line });

export const interceptSchema = section({
  ca: section({ certificate: certificates, key: secretRef }).optional(),
  alsoTrust: certificates.optional(),
}).prefault({});

/** @param reader reads the certificates, and takes the faults in them */
export function toIntercept(
  { ca, alsoTrust }: z.output<typeof interceptSchema>,
  merged: Merged,
  reader: FileReader,
): InterceptConfig {
  const read = (file: string, ...path: string[]) =>
    readCertificates(file, merged.at(['intercept', ...path, 'file']), reader);
  const certificate = ca && read(ca.certificate.file, 'ca', 'certificate');
  return {
    ca: ca && { certificate: certificate ?? '', key: keyOf(ca.key, merged) },
    alsoTrust: alsoTrust && read(alsoTrust.file, 'alsoTrust'),
  };
}

function keyOf(written: z.output<typeof secretRef>, merged: Merged): SecretRef {
  const path = ['intercept', 'ca', 'key'];
  const ref = toSecretRef(written, merged.at(path), merged.folder(path));
  return Object.assign(ref, { multiline: true });
}
