import { createHash } from 'node:crypto';
import { run } from './command.ts';

/** The type of a component that is machine code in the package itself. */
export const FILE = 'file';

/** A bill of materials in CycloneDX 1.5, as far as it is looked at here. */
export interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
}

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version?: string;
  /** Of a package; files have none. */
  readonly purl?: string;
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}

/**
 * Lists what the package installs, with the hash of each tarball, and describes the package's own.
 *
 * @param runtime a folder with the package's manifest and its run-time lock
 * @param tarball of the package itself
 * @param machineCode what the tarball holds of it, by its path in the package
 */
export function writeSbom(
  runtime: string,
  tarball: Buffer,
  machineCode: ReadonlyMap<string, Buffer>,
  time: Date,
): Buffer {
  const command = ['npm', 'sbom', '--omit=dev', '--package-lock-only'];
  const options = ['--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  const sbom = JSON.parse(run(runtime, [...command, ...options])) as Sbom;
  const { component } = sbom.metadata;
  const { name } = JSON.parse(run(runtime, ['npm', 'pkg', 'get'])) as Component;
  // npm gives it a number and a time of its own at each run, and the name of the folder. Here all follow from the package.
  const own = {
    components: [...sbom.components, ...[...machineCode].map(fileComponent)],
    serialNumber: `urn:uuid:${uuidOf(tarball)}`,
    metadata: {
      ...sbom.metadata,
      timestamp: time.toISOString(),
      component: { ...component, name, hashes: hashesOf(tarball) },
    },
  };
  return Buffer.from(`${JSON.stringify({ ...sbom, ...own }, undefined, 2)}\n`);
}

function fileComponent([name, bytes]: readonly [string, Buffer]): Component {
  return { type: FILE, name, hashes: hashesOf(bytes) };
}

export function hashesOf(bytes: Buffer): { alg: string; content: string }[] {
  return [256, 512].map((bits) => ({
    alg: `SHA-${bits}`,
    content: createHash(`sha${bits}`).update(bytes).digest('hex'),
  }));
}

/** Of version 8, whose bits are free (RFC 9562, section 5.8). */
function uuidOf(bytes: Buffer): string {
  const digest = createHash('sha256').update(bytes).digest('hex');
  const fields = [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`];
  return [...fields, `8${digest.slice(17, 20)}`, digest.slice(20, 32)].join('-');
}
