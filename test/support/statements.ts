import type { AwsIdentity } from './aws/sigv4.ts';
import { run } from './clients.ts';
import { ROOT } from './sources.ts';

export interface Statement {
  readonly Sid: string;
  readonly Effect?: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

/** What `sekisho lambda policy` prints. */
export async function statements(
  args: readonly string[],
  cwd: string,
): Promise<readonly Statement[]> {
  const place = ['--region', 'ap-northeast-1', '--account', '123456789012'];
  const command = [`${ROOT}/bin/sekisho.js`, 'lambda', 'policy', ...args, ...place];
  const { stdout, stderr } = await run(process.execPath, command, { cwd });
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout).Statement;
}

/** Whoever may do what these statements say, and nothing else. */
export function identityWith(name: string, allowed: readonly Statement[]): AwsIdentity {
  const covers = (patterns: string | readonly string[], text: string) =>
    [patterns].flat().some((pattern) => wildcards(pattern).test(text));
  return {
    accessKeyId: `AKIA${name.toUpperCase()}`,
    secretAccessKey: `of ${name}`,
    arn: `arn:aws:iam::123456789012:role/${name}`,
    allows: (action, resource) =>
      allowed.some(({ Action, Resource }) => covers(Action, action) && covers(Resource, resource)),
  };
}

/** As IAM reads `*` and `?`. */
function wildcards(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
