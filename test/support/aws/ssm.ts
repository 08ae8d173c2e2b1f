import { AwsError, accessDenied, validation } from './aws-error.ts';
import { jsonProtocol } from './json-protocol.ts';
import type { Call, FakeService, Input } from './service.ts';

const ACCOUNT = '123456789012';
/** Of GetParameters and of a page of GetParametersByPath: more is never answered. */
const MAX_AT_ONCE = 10;
const MAX_VALUE = 4_096;

interface Version {
  readonly value: string;
  readonly type: 'String' | 'StringList' | 'SecureString';
  readonly modified: number;
}

/** Parameter Store, in memory. Names and limits are AWS's. */
export class ParameterStore {
  readonly #versions = new Map<string, Version[]>();
  /** How many a page of GetParametersByPath holds at most; AWS gives fewer than asked for whenever it likes. */
  pageSize = MAX_AT_ONCE;

  /** Adds a parameter, or a version of it. @returns the number of the version */
  put(name: string, value: string, type: Version['type'] = 'SecureString'): number {
    checkName(name);
    if (Buffer.byteLength(value) > MAX_VALUE) {
      throw validation(
        `Standard tier parameters support a maximum parameter value of ${MAX_VALUE} characters.`,
      );
    }
    const versions = this.#versions.get(name) ?? [];
    this.#versions.set(name, versions);
    return versions.push({ value, type, modified: Date.now() / 1000 });
  }

  delete(name: string): void {
    this.#versions.delete(name);
  }

  readonly service: FakeService = {
    name: 'ssm',
    protocol: jsonProtocol('AmazonSSM'),
    operations: {
      GetParameter: (input, call) => this.#getParameter(input, call),
      GetParameters: (input, call) => this.#getParameters(input, call),
      GetParametersByPath: (input, call) => this.#getParametersByPath(input, call),
    },
  };

  #getParameter(input: Input, call: Call) {
    const found = this.#find(text(input, 'Name'), input, call);
    if (found === undefined) throw new AwsError('ParameterNotFound', '');
    return { Parameter: found };
  }

  #getParameters(input: Input, call: Call) {
    const names = input.Names;
    if (!Array.isArray(names) || names.length < 1 || names.length > MAX_AT_ONCE) {
      throw validation(
        `1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length less than or equal to ${MAX_AT_ONCE}`,
      );
    }
    const found = names.map((name) => [name, this.#find(String(name), input, call)] as const);
    return {
      Parameters: found.flatMap(([, parameter]) => parameter ?? []),
      InvalidParameters: found.filter(([, parameter]) => !parameter).map(([name]) => name),
    };
  }

  #getParametersByPath(input: Input, call: Call) {
    const path = text(input, 'Path');
    if (!path.startsWith('/')) {
      throw validation(
        'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/".',
      );
    }
    checkName(path);
    const asked = input.MaxResults === undefined ? MAX_AT_ONCE : Number(input.MaxResults);
    if (!(asked >= 1 && asked <= MAX_AT_ONCE)) {
      throw validation(
        `1 validation error detected: Value '${asked}' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to ${MAX_AT_ONCE}`,
      );
    }
    permit(call, path);
    const base = path.endsWith('/') ? path : `${path}/`;
    const below = [...this.#versions.keys()].filter((name) => {
      return (
        name.startsWith(base) &&
        (input.Recursive === true || !name.slice(base.length).includes('/'))
      );
    });
    const from = startOfPage(input.NextToken, below.length);
    const to = from + Math.min(asked, this.pageSize);
    return {
      Parameters: below
        .sort()
        .slice(from, to)
        .map((name) => this.#find(name, input, call, path)),
      ...(to < below.length && { NextToken: Buffer.from(`page:${to}`).toString('base64') }),
    };
  }

  /** @param permitted what the caller was already found to have a right to */
  #find(asked: string, input: Input, call: Call, permitted?: string) {
    const [name = '', selector] = asked.split(':');
    checkName(name);
    if (permitted === undefined) permit(call, name);
    const versions = this.#versions.get(name);
    if (versions === undefined) return undefined;
    const number = selector === undefined ? versions.length : Number(selector);
    const version = versions[number - 1];
    if (version === undefined) {
      throw new AwsError(
        'ParameterVersionNotFound',
        `Systems Manager could not find version ${selector} of ${name}. Verify the version and try again.`,
      );
    }
    const secured = version.type === 'SecureString' && input.WithDecryption !== true;
    return {
      ARN: arnOf(name, call),
      DataType: 'text',
      LastModifiedDate: version.modified,
      Name: name,
      Type: version.type,
      Value: secured ? `AQICAHh${Buffer.from(name).toString('base64')}` : version.value,
      Version: number,
      ...(selector !== undefined && { Selector: `:${selector}` }),
    };
  }
}

function permit({ identity, operation, region }: Call, name: string): void {
  const resource = arnOf(name, { region });
  if (identity.allows?.(`ssm:${operation}`, resource) === false) {
    throw accessDenied(identity.arn, `ssm:${operation}`, resource);
  }
}

function arnOf(name: string, { region }: Pick<Call, 'region'>): string {
  return `arn:aws:ssm:${region}:${ACCOUNT}:parameter${name.startsWith('/') ? '' : '/'}${name}`;
}

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html */
function checkName(name: string): void {
  if (!/^[a-zA-Z0-9_.\-/]+$/.test(name) || name.length > 1011) {
    throw validation(
      'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_',
    );
  }
  if (/^\/?(?:aws|ssm)/i.test(name))
    throw new AwsError('AccessDeniedException', `No access to reserved parameter name: ${name}.`);
  if (name.split('/').length > 16) {
    throw new AwsError(
      'HierarchyLevelLimitExceededException',
      'A hierarchy can have a maximum of 15 levels.',
    );
  }
}

function startOfPage(token: unknown, total: number): number {
  if (token === undefined) return 0;
  const from = Number(/^page:(\d+)$/.exec(Buffer.from(String(token), 'base64').toString())?.[1]);
  if (from < total) return from;
  throw new AwsError('InvalidNextToken', 'The specified token is not valid.');
}

function text(input: Input, name: string): string {
  const value = input[name];
  if (typeof value === 'string' && value !== '') return value;
  throw validation(
    `1 validation error detected: Value null at '${name.toLowerCase()}' failed to satisfy constraint: Member must not be null`,
  );
}
