import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readCertificate } from '../authority/authority.ts';
import { authorityFiles } from '../authority/find.ts';
import { load } from '../config/load.ts';
import { SekishoError } from '../core/errors.ts';
import { Ip } from '../core/ip.ts';

/** The CA does not depend on where exits leave from. */
const ANY_ADDRESS = Ip.parse('0.0.0.0');

/** The certificate of a configuration's CA, and where it is from. */
export interface FoundCertificate {
  readonly certificate: X509Certificate;
  /** Where it lies; undefined: in a file that the configuration names. */
  readonly file: string | undefined;
}

/** @throws ConfigError, SekishoError `intercept-ca-missing` */
export async function findCertificate(configFile: string): Promise<FoundCertificate> {
  const { config } = load(configFile, { unsetExit: ANY_ADDRESS });
  const { ca } = config.intercept;
  if (ca !== undefined) {
    const [certificate] = readCertificate(ca.certificate);
    return { certificate, file: undefined };
  }
  const file = authorityFiles(config.gateway.dataDir).certificate;
  const pem = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new SekishoError(
      'intercept-ca-missing',
      `there is no CA in ${file} (${cause.code}); the gateway makes it when it starts with a rule that says intercept: true`,
      { cause },
    );
  });
  const [certificate] = readCertificate(pem);
  return { certificate, file };
}
