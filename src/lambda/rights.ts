import type { AnySecretRef, Config } from '../config/config.ts';
import { credentialRefs } from '../config/credential-refs.ts';
import type { Statement } from '../ranges/rights.ts';

export interface Place {
  readonly region: string;
  /** Twelve digits, or `*`. */
  readonly account: string;
  /** The function's name. */
  readonly functionName: string;
}

export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** What somebody may do who sends requests by a function: call it, and nothing else. */
export function invokeRights(place: Place): PolicyDocument {
  const arn = arnOf(place, 'lambda', `function:${place.functionName}`);
  return policyOf([allow('InvokeFunction', ['lambda:InvokeFunction'], [arn, `${arn}:*`])]);
}

export interface SignSettings {
  /** The credentials that its policy has. */
  readonly credentials: Config['credentials'];
  /** Where its policy is kept, if in Parameter Store. */
  readonly policyParameter: string | undefined;
  /** The key of AWS KMS that the secrets are encrypted with, where it is not AWS's own. */
  readonly key: string | undefined;
}

/** What a signing function may do: read the secrets that its policy names, and write its record. */
export function signRights(settings: SignSettings, place: Place): PolicyDocument {
  const refs = settings.credentials.flatMap(({ kind }) => credentialRefs(kind));
  const parameters = [
    ...refs.flatMap(parameterOf),
    ...(settings.policyParameter === undefined ? [] : [settings.policyParameter]),
  ];
  const below = settings.credentials.flatMap(({ kind }) =>
    kind.kind === 'parameterStore' ? [`${kind.prefix}/*`] : [],
  );
  const secrets = refs.flatMap(secretOf);
  const parameter = (name: string) => arnOf(place, 'ssm', `parameter/${name.replace(/^\//, '')}`);
  const secret = (id: string) =>
    id.startsWith('arn:') ? id : arnOf(place, 'secretsmanager', `secret:${id}-??????`);
  return policyOf([
    allow('WriteRecord', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logs(place)]),
    ...some('ReadParameters', 'ssm:GetParameter', parameters.map(parameter)),
    ...some('ReadParametersOfHosts', 'ssm:GetParametersByPath', below.map(parameter)),
    ...some('ReadSecrets', 'secretsmanager:GetSecretValue', secrets.map(secret)),
    ...some('Decrypt', 'kms:Decrypt', settings.key === undefined ? [] : [settings.key]),
  ]);
}

function parameterOf(ref: AnySecretRef): string[] {
  // A version is no part of the name of what is permitted.
  return ref.from === 'ssm' ? [ref.name.replace(/:.*$/, '')] : [];
}

function secretOf(ref: AnySecretRef): string[] {
  return ref.from === 'secretsManager' ? [ref.id] : [];
}

function logs(place: Place): string {
  return arnOf(place, 'logs', `log-group:/aws/lambda/${place.functionName}:*`);
}

function policyOf(statements: readonly Statement[]): PolicyDocument {
  return { Version: '2012-10-17', Statement: statements };
}

function allow(Sid: string, Action: readonly string[], Resource: readonly string[]): Statement {
  return { Sid, Effect: 'Allow', Action, Resource };
}

function some(sid: string, action: string, resources: readonly string[]): Statement[] {
  return resources.length === 0 ? [] : [allow(sid, [action], [...new Set(resources)])];
}

function arnOf({ region, account }: Place, service: string, resource: string): string {
  const partition = region.startsWith('cn-')
    ? 'aws-cn'
    : region.startsWith('us-gov-')
      ? 'aws-us-gov'
      : 'aws';
  return `arn:${partition}:${service}:${region}:${account}:${resource}`;
}
