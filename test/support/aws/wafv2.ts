import { randomUUID } from 'node:crypto';
import { AwsError } from './aws-error.ts';
import { permitted } from './iam.ts';
import { jsonProtocol } from './json-protocol.ts';
import { canonical } from './security-groups.ts';
import type { Call, FakeService, Input } from './service.ts';

export interface FakeIpSet {
  readonly name: string;
  readonly id: string;
  readonly scope: string;
  readonly version: 'IPV4' | 'IPV6';
  description: string | undefined;
  addresses: string[];
  lockToken: string;
}

const MOST = 10_000;

/** IP sets of WAF, each replaced as a whole under a lock token. */
export class Wafv2 {
  readonly sets = new Map<string, FakeIpSet>();
  onChange: () => void = () => undefined;

  add(name: string, id: string, version: 'IPV4' | 'IPV6', scope = 'REGIONAL'): FakeIpSet {
    const set: FakeIpSet = {
      name,
      id,
      scope,
      version,
      description: undefined,
      addresses: [],
      lockToken: randomUUID(),
    };
    this.sets.set(id, set);
    return set;
  }

  readonly service: FakeService = permitted({
    name: 'wafv2',
    protocol: jsonProtocol('AWSWAF_20190729'),
    resources: ({ input: { Scope, Name, Id } }) => [
      `${Scope === 'CLOUDFRONT' ? 'global' : 'regional'}/ipset/${Name}/${Id}`,
    ],
    operations: {
      GetIPSet: (input, call) => this.#get(input, call),
      UpdateIPSet: (input, call) => this.#update(input, call),
    },
  });

  #known(input: Input, { region }: Call): FakeIpSet {
    const set = this.sets.get(String(input.Id));
    if (input.Scope === 'CLOUDFRONT' && region !== 'us-east-1') {
      throw new AwsError(
        'WAFInvalidParameterException',
        'Error reason: The scope is not valid., field: SCOPE_VALUE, parameter: CLOUDFRONT',
      );
    }
    if (set === undefined || set.name !== input.Name || set.scope !== input.Scope) {
      throw new AwsError(
        'WAFNonexistentItemException',
        'AWS WAF couldn’t perform the operation because your resource doesn’t exist.',
      );
    }
    return set;
  }

  #get(input: Input, call: Call) {
    const { name, id, version, addresses, description, lockToken, scope } = this.#known(
      input,
      call,
    );
    const IPSet = {
      Name: name,
      Id: id,
      ARN: `arn:aws:wafv2:${call.region}:123456789012:${scope.toLowerCase()}/ipset/${name}/${id}`,
      Description: description ?? '',
      IPAddressVersion: version,
      Addresses: addresses.map(expanded),
    };
    return { IPSet, LockToken: lockToken };
  }

  #update(input: Input, call: Call) {
    const set = this.#known(input, call);
    if (input.LockToken !== set.lockToken) {
      const message =
        'AWS WAF couldn’t save your changes because someone changed the resource after you started to edit it. Reapply your changes.';
      throw new AwsError('WAFOptimisticLockException', message);
    }
    const addresses = (input.Addresses as string[]).map(canonical);
    if (addresses.length > MOST)
      throw new AwsError('WAFLimitsExceededException', 'Too many addresses');
    const wrong = addresses.find(
      (text) => text.endsWith('/0') || text.includes(':') !== (set.version === 'IPV6'),
    );
    if (wrong !== undefined || new Set(addresses).size < addresses.length) {
      throw new AwsError(
        'WAFInvalidParameterException',
        `Error reason: The parameter contains formatting that is not valid., field: IP_ADDRESS, parameter: ${wrong}`,
      );
    }
    set.addresses = addresses;
    set.description = input.Description as string | undefined;
    set.lockToken = randomUUID();
    this.onChange();
    return { NextLockToken: set.lockToken };
  }
}

/** WAF gives IPv6 back with all its zeros. */
function expanded(text: string): string {
  if (!text.includes(':')) return text;
  const [address = '', bits] = text.split('/');
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = address.includes('::') ? [...before, ...zeros, ...after] : before;
  return `${all.map((group) => group.padStart(4, '0')).join(':')}/${bits}`;
}
