import { type Locked, packageUrl } from './lock.ts';
import { sha256 } from './sums.ts';

/** https://in-toto.io/Statement/v1 with the predicate https://slsa.dev/provenance/v1 */
export interface Statement {
  readonly _type: string;
  readonly subject: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: unknown;
}

interface Subject {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

export const STATEMENT = 'https://in-toto.io/Statement/v1';
export const PROVENANCE = 'https://slsa.dev/provenance/v1';

/** What a build of this type does is what `scripts/release.ts` of the commit does. */
const BUILD_TYPE = 'urn:sekisho:build-type:release-script:1';

interface Build {
  /** The hash of the commit that was built. */
  readonly commit: string;
  /** A URI that says who built it. */
  readonly builder: string;
  readonly versions: Readonly<Record<string, string>>;
  /** What the build had installed: the compiler, the Node that ran it, and what these need. */
  readonly installed: readonly Locked[];
  readonly startedOn: Date;
  readonly finishedOn: Date;
}

/** Says of which commit, by whom and out of what the files were made. */
export function describeBuild(files: ReadonlyMap<string, Buffer>, build: Build): Statement {
  const { commit, builder, versions, installed, startedOn, finishedOn } = build;
  return {
    _type: STATEMENT,
    subject: [...files].map(([name, bytes]) => ({ name, digest: { sha256: sha256(bytes) } })),
    predicateType: PROVENANCE,
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { commit },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: commit } },
          ...installed.map((locked) => ({
            uri: packageUrl(locked),
            digest: { sha512: locked.sha512 },
          })),
        ],
      },
      runDetails: {
        builder: { id: builder, version: versions },
        metadata: {
          startedOn: startedOn.toISOString(),
          finishedOn: finishedOn.toISOString(),
        },
      },
    },
  };
}
