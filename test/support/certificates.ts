import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificates {
  /** Path of the CA's certificate, for clients that want a file. */
  readonly caFile: string;
  readonly ca: Buffer;
  readonly caKey: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

const made: string[] = [];
process.once('exit', () => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** A throw-away CA, and a leaf of it for the given names. */
export function createCertificates(...names: readonly string[]): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-certs-'));
  made.push(dir);
  const at = (file: string) => join(dir, file);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test CA');
  openssl('req', ...curve, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', `/CN=${names[0]}`);
  const sans = names.map((name) => (/^[0-9.]+$|:/.test(name) ? `IP:${name}` : `DNS:${name}`));
  writeFileSync(at('san.cnf'), `subjectAltName=${sans.join(',')}\n`);
  openssl(
    'x509',
    '-req',
    '-in',
    'leaf.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'san.cnf',
    '-out',
    'leaf.crt',
  );
  return {
    caFile: at('ca.crt'),
    ca: readFileSync(at('ca.crt')),
    caKey: readFileSync(at('ca.key')),
    cert: readFileSync(at('leaf.crt')),
    key: readFileSync(at('leaf.key')),
  };
}
