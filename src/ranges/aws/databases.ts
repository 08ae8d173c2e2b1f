import { reasonOf } from '../surroundings.ts';
import { awsCode } from './aws-failure.ts';
import type { ClientOptions } from './client-options.ts';

/** A database of RDS that security groups stand before. */
export interface GuardedDatabase {
  readonly name: string;
  /** `mysql`, `aurora-postgresql` */
  readonly engine: string;
  /** Whether one can sign in to it by IAM. */
  readonly iamLogin: boolean;
}

/** Nobody waits longer for what is good to know: RDS may have no way from here. */
const LIMIT_MS = 10_000;

/**
 * The databases that have one of the groups: instances, and clusters in place of their instances, since a cluster's login is
 * its own (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.html).
 *
 * @returns why not, where RDS cannot be asked
 */
export async function readDatabases(
  options: ClientOptions,
  groups: readonly string[],
  signal: AbortSignal,
): Promise<readonly GuardedDatabase[] | string> {
  try {
    return await askRds(options, groups, AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]));
  } catch (error) {
    signal.throwIfAborted();
    return `${awsCode(error)}: ${reasonOf(error)}`;
  }
}

async function askRds(
  options: ClientOptions,
  groups: readonly string[],
  abortSignal: AbortSignal,
): Promise<readonly GuardedDatabase[]> {
  const sdk = await import('@aws-sdk/client-rds');
  const client = new sdk.RDSClient(options);
  const found: GuardedDatabase[] = [];
  const take = (one: Guarded, name: string | undefined) => {
    const has = one.VpcSecurityGroups?.some(({ VpcSecurityGroupId: id = '' }) =>
      groups.includes(id),
    );
    if (!has) return;
    const { Engine: engine = '', IAMDatabaseAuthenticationEnabled: iamLogin = false } = one;
    found.push({ name: name ?? '', engine, iamLogin });
  };
  try {
    for await (const page of sdk.paginateDescribeDBInstances({ client }, {}, { abortSignal })) {
      for (const one of page.DBInstances ?? []) {
        if (one.DBClusterIdentifier === undefined) take(one, one.DBInstanceIdentifier);
      }
    }
    for await (const page of sdk.paginateDescribeDBClusters({ client }, {}, { abortSignal })) {
      for (const one of page.DBClusters ?? []) take(one, one.DBClusterIdentifier);
    }
    return found;
  } finally {
    client.destroy();
  }
}

interface Guarded {
  readonly Engine?: string | undefined;
  readonly IAMDatabaseAuthenticationEnabled?: boolean | undefined;
  readonly VpcSecurityGroups?: readonly { VpcSecurityGroupId?: string | undefined }[] | undefined;
}
