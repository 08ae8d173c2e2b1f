import type { KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { run, runForBytes } from './command.ts';
import { type Envelope, open } from './dsse.ts';
import { packageUrl, readLock } from './lock.ts';
import { NAMES } from './names.ts';
import { PROVENANCE, STATEMENT, type Statement } from './provenance.ts';
import { FILE, hashesOf, type Sbom } from './sbom.ts';
import { sha256, sumsOf } from './sums.ts';

/**
 * Holds the files of a release against one another and against the key of whoever built it.
 *
 * @returns what is wrong, a sentence each; nothing where all holds
 */
export function verifyRelease(folder: string, key: KeyObject): string[] {
  const files = new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name))]),
  );
  const tarballs = [...files.keys()].filter((name) => name.endsWith('.tgz'));
  const [tarball = ''] = tarballs;
  const expected = [tarball, ...Object.values(NAMES)].sort();
  if (tarballs.length !== 1 || !isDeepStrictEqual([...files.keys()], expected))
    return [`a release is one .tgz, ${Object.values(NAMES).join(', ')}, and nothing else`];
  const checks = [
    () => findWrongSums(files),
    () => findWrongProvenance(files, tarball, key),
    () => findWrongSbom(files, folder, tarball),
  ];
  return checks.flatMap(readable);
}

/** A file that is not even of its form is a finding, as one that says something else. */
function readable(check: () => string[]): string[] {
  try {
    return check();
  } catch (error) {
    return [`unreadable: ${error instanceof Error ? error.message : error}`];
  }
}

type Files = ReadonlyMap<string, Buffer>;

function findWrongSums(files: Files): string[] {
  const summed = [...files.keys()].filter((name) => name !== NAMES.sums);
  const expected = sumsOf(new Map(summed.map((name) => [name, contentOf(files, name)])));
  return expected === contentOf(files, NAMES.sums).toString()
    ? []
    : [`${NAMES.sums} does not have the sums of the files beside it`];
}

function findWrongProvenance(files: Files, tarball: string, key: KeyObject): string[] {
  const envelope = JSON.parse(contentOf(files, NAMES.provenance).toString()) as Envelope;
  const statement = open(envelope, key) as Statement | undefined;
  if (statement === undefined) return [`${NAMES.provenance} is not signed by this key`];
  if (statement._type !== STATEMENT || statement.predicateType !== PROVENANCE)
    return [`${NAMES.provenance} is no SLSA provenance`];
  return [tarball, NAMES.sbom]
    .filter((name) => {
      const subject = statement.subject.find((candidate) => candidate.name === name);
      return subject?.digest.sha256 !== sha256(contentOf(files, name));
    })
    .map((name) => `${name} is not the file that ${NAMES.provenance} speaks of`);
}

function findWrongSbom(files: Files, folder: string, tarball: string): string[] {
  const sbom = JSON.parse(contentOf(files, NAMES.sbom).toString()) as Sbom;
  const { component } = sbom.metadata;
  const problems: string[] = [];
  if (!isDeepStrictEqual(component.hashes, hashesOf(contentOf(files, tarball))))
    problems.push(`${NAMES.sbom} is not that of ${tarball}`);
  const shrinkwrap = run(folder, ['tar', '-xzOf', tarball, 'package/npm-shrinkwrap.json']);
  const installs = [...readLock(shrinkwrap).values()].map(
    (locked) => `${packageUrl(locked)} ${locked.sha512}`,
  );
  const lists = sbom.components
    .filter(({ type }) => type !== FILE)
    .map(({ purl, hashes }) => `${purl} ${hashes?.find(({ alg }) => alg === 'SHA-512')?.content}`);
  if (!isDeepStrictEqual(new Set(lists), new Set(installs)))
    problems.push(`${NAMES.sbom} does not list what ${tarball} installs`);
  if (!isDeepStrictEqual(listedCode(sbom), machineCodeIn(folder, tarball)))
    problems.push(`${NAMES.sbom} does not list the machine code that ${tarball} holds`);
  return problems;
}

function listedCode({ components }: Sbom): Map<string, unknown> {
  const files = components.filter(({ type }) => type === FILE);
  return new Map(files.map(({ name, hashes }) => [name, hashes]));
}

/** The hashes of each `.node` file, by its path in the package. */
function machineCodeIn(folder: string, tarball: string): Map<string, unknown> {
  const paths = run(folder, ['tar', '-tzf', tarball])
    .split('\n')
    .filter((path) => path.endsWith('.node'));
  return new Map(
    paths.map((path) => [
      path.replace('package/', ''),
      hashesOf(runForBytes(folder, ['tar', '-xzOf', tarball, path])),
    ]),
  );
}

function contentOf(files: Files, name: string): Buffer {
  const content = files.get(name);
  if (content === undefined) throw new Error(`${name} is missing`);
  return content;
}
