import { AwsError, accessDenied } from './aws-error.ts';
import type { Call, FakeService, Operation } from './service.ts';

export interface Policy {
  readonly Statement: readonly {
    readonly Action: readonly string[];
    readonly Resource: readonly string[];
  }[];
}

/** Whether a policy allows an action on a resource, by `*` and `?` as IAM reads them. */
export function policyAllows({ Statement }: Policy): (action: string, resource: string) => boolean {
  return (action, resource) =>
    Statement.some(
      ({ Action, Resource }) =>
        Action.some((pattern) => fits(pattern, action)) &&
        Resource.some((pattern) => fits(pattern, resource)),
    );
}

function fits(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(text);
}

/** Holds every call to the rights of whoever makes it, on everything that the call is about. */
export function permitted(service: FakeService): FakeService {
  const operations = Object.entries(service.operations).map(([name, run]): [string, Operation] => [
    name,
    (input, call) => {
      const denied = resourcesOf(service, call).find(
        (arn) => call.identity.allows?.(`${service.name}:${name}`, arn) === false,
      );
      if (denied !== undefined) throw refusal(service, call, denied);
      return run(input, call);
    },
  ]);
  return { ...service, operations: Object.fromEntries(operations) };
}

function resourcesOf({ name, resources }: FakeService, call: Call): string[] {
  const account = call.identity.arn.split(':')[4];
  const about = resources?.(call) ?? ['*'];
  return about.map((one) =>
    one === '*' || one.startsWith('arn:')
      ? one
      : `arn:aws:${name}:${call.region}:${account}:${one}`,
  );
}

/** Each kind of protocol has words of its own for it. */
function refusal({ name }: FakeService, call: Call, resource: string): AwsError {
  const { arn } = call.identity;
  const action = `${name}:${call.operation}`;
  if (name === 'ec2') {
    const message = `You are not authorized to perform this operation. User: ${arn} is not authorized to perform: ${action} on resource: ${resource}`;
    return new AwsError('UnauthorizedOperation', message, 403);
  }
  const { message } = accessDenied(arn, action, resource);
  return name === 'rds' || name === 'sts'
    ? new AwsError('AccessDenied', message, 403)
    : accessDenied(arn, action, resource);
}
