import { AwsError } from './aws-error.ts';
import { permitted } from './iam.ts';
import { queryProtocol } from './query-protocol.ts';
import type { FakeService, Input } from './service.ts';

interface FakeDatabase {
  readonly id: string;
  readonly engine: string;
  readonly groups: readonly string[];
  readonly iamLogin: boolean;
  /** Of an instance that belongs to one. */
  readonly cluster?: string;
}

/** RDS, as far as one asks it what it has: instances, and clusters of Aurora. */
export class Rds {
  readonly instances: FakeDatabase[] = [];
  readonly clusters: FakeDatabase[] = [];
  pageSize = 2;

  readonly service: FakeService = permitted({
    name: 'rds',
    protocol: queryProtocol('http://rds.amazonaws.com/doc/2014-10-31/'),
    resources: ({ operation }) => [operation === 'DescribeDBClusters' ? 'cluster:*' : 'db:*'],
    operations: {
      DescribeDBInstances: (input) => {
        const { slice, ...more } = this.#page(this.instances, input);
        return { DBInstances: { DBInstance: slice.map(instance) }, ...more };
      },
      DescribeDBClusters: (input) => {
        const { slice, ...more } = this.#page(this.clusters, input);
        return { DBClusters: { DBCluster: slice.map(cluster) }, ...more };
      },
    },
  });

  #page(list: readonly FakeDatabase[], { Marker }: Input) {
    const from = Marker === undefined ? 0 : list.findIndex(({ id }) => id === Marker) + 1;
    if (Marker !== undefined && from === 0) {
      throw new AwsError('InvalidParameterValue', 'The marker is not valid');
    }
    const slice = list.slice(from, from + this.pageSize);
    return { slice, ...(from + slice.length < list.length && { Marker: slice.at(-1)?.id }) };
  }
}

function common({ engine, groups, iamLogin }: FakeDatabase) {
  return {
    Engine: engine,
    IAMDatabaseAuthenticationEnabled: iamLogin,
    VpcSecurityGroups: {
      VpcSecurityGroupMembership: groups.map((id) => ({
        VpcSecurityGroupId: id,
        Status: 'active',
      })),
    },
  };
}

function instance(one: FakeDatabase) {
  return { ...common(one), DBInstanceIdentifier: one.id, DBClusterIdentifier: one.cluster };
}

function cluster(one: FakeDatabase) {
  return { ...common(one), DBClusterIdentifier: one.id };
}
