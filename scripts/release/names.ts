/** The files of a release beside the tarball. */
export const NAMES: Readonly<Record<'sums' | 'provenance' | 'sbom', string>> = {
  sums: 'SHA256SUMS',
  provenance: 'provenance.dsse.json',
  sbom: 'sbom.cdx.json',
};
