import { randomUUID } from 'node:crypto';
import { AwsError, accessDenied } from './aws-error.ts';
import { jsonProtocol } from './json-protocol.ts';
import type { Call, FakeService, Input } from './service.ts';

const MAX_VALUE = 65_536;

interface Version {
  readonly id: string;
  readonly value: string | Uint8Array;
  readonly created: number;
}

interface StoredSecret {
  /** What AWS puts behind the name in an ARN. */
  readonly suffix: string;
  /** Oldest first; the last two are AWSPREVIOUS and AWSCURRENT. */
  readonly versions: Version[];
  deleted: boolean;
}

/** Secrets Manager, in memory. */
export class SecretsManager {
  readonly #secrets = new Map<string, StoredSecret>();

  /** Adds a secret, or a version of it, which becomes the current one. @returns the version's id */
  put(name: string, value: string | Uint8Array): string {
    if (value.length > MAX_VALUE) throw new AwsError('InvalidParameterException', 'too long');
    const secret = this.#secrets.get(name) ?? { suffix: suffix(), versions: [], deleted: false };
    this.#secrets.set(name, secret);
    const id = randomUUID();
    secret.versions.push({ id, value, created: Date.now() / 1000 });
    return id;
  }

  /** Marks it for deletion, as `aws secretsmanager delete-secret` does. */
  delete(name: string): void {
    const secret = this.#secrets.get(name);
    if (secret !== undefined) secret.deleted = true;
  }

  readonly service: FakeService = {
    name: 'secretsmanager',
    protocol: jsonProtocol('secretsmanager'),
    operations: { GetSecretValue: (input, call) => this.#getSecretValue(input, call) },
  };

  #getSecretValue(input: Input, call: Call) {
    const [name, secret] = this.#find(String(input.SecretId ?? ''), call);
    if (secret.deleted) {
      const message =
        "You can't perform this operation on the secret because it was marked for deletion.";
      throw new AwsError('InvalidRequestException', message);
    }
    const stage = input.VersionStage ?? (input.VersionId === undefined ? 'AWSCURRENT' : undefined);
    const version = secret.versions.find(({ id }, index) => {
      const fits = stage === undefined || stagesOf(secret, index).includes(String(stage));
      return fits && (input.VersionId === undefined || input.VersionId === id);
    });
    if (version === undefined) {
      const message = `Secrets Manager can't find the specified secret value for staging label: ${stage}`;
      throw new AwsError('ResourceNotFoundException', message);
    }
    const { id, value, created } = version;
    return {
      ARN: arnOf(name, secret, call),
      Name: name,
      VersionId: id,
      ...(typeof value === 'string'
        ? { SecretString: value }
        : { SecretBinary: Buffer.from(value).toString('base64') }),
      VersionStages: stagesOf(secret, secret.versions.indexOf(version)),
      CreatedDate: created,
    };
  }

  #find(asked: string, call: Call): readonly [string, StoredSecret] {
    const found = [...this.#secrets].find(([name, secret]) => {
      const arn = arnOf(name, secret, call);
      return asked === name || asked === arn || asked === arn.slice(0, -7);
    });
    const { identity, operation } = call;
    const action = `secretsmanager:${operation}`;
    const resource = found === undefined ? asked : arnOf(...found, call);
    if (identity.allows?.(action, resource) === false) {
      throw accessDenied(identity.arn, action, resource);
    }
    if (found !== undefined) return found;
    const message = "Secrets Manager can't find the specified secret.";
    throw new AwsError('ResourceNotFoundException', message);
  }
}

function stagesOf({ versions }: StoredSecret, index: number): string[] {
  if (index === versions.length - 1) return ['AWSCURRENT'];
  return index === versions.length - 2 ? ['AWSPREVIOUS'] : [];
}

function arnOf(name: string, { suffix }: StoredSecret, { region }: Call): string {
  return `arn:aws:secretsmanager:${region}:123456789012:secret:${name}-${suffix}`;
}

function suffix(): string {
  return randomUUID().replace(/-/g, '').slice(0, 6);
}
