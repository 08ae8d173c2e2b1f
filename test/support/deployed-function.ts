import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { FunctionHost } from '../../src/lambda/runtime/function-host.ts';
import { type FakeAws, startFakeAws } from './aws/fake-aws.ts';
import { Functions } from './aws/lambda.ts';
import { type SigningScene, type SigningSetting, startSigning } from './signing-function.ts';
import { ROOT } from './sources.ts';

/** The signing function as it is deployed: its zip, in processes of its own, behind Lambda. */
export interface DeployedFunction extends SigningScene {
  readonly lambda: FakeAws;
  readonly functions: Functions;
  readonly zip: string;
  /** All that the function's processes print. */
  readonly logs: readonly string[];
}

export async function deploySigning(
  t: TestContext,
  setting: SigningSetting & { readonly atOnce?: number } = {},
): Promise<DeployedFunction> {
  const scene = await startSigning(t, setting);
  const folder = mkdtempSync(join(tmpdir(), 'sekisho-deployed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const zip = join(folder, 'sign.zip');
  const at = (name: string) => join(scene.folder, name);
  execFileSync(process.execPath, [
    join(ROOT, 'bin/sekisho.js'),
    ...[
      'lambda',
      'bundle',
      'sign',
      '-o',
      zip,
      '--policy',
      at('sekisho.yaml'),
      '--add',
      at('ca.pem'),
    ],
  ]);
  execFileSync('unzip', ['-q', zip, '-d', folder]);
  const { host, logs } = hostSigning(folder, scene.env, setting.atOnce ?? 10);
  t.after(() => host.stop());
  const functions = new Functions();
  functions.add('sign', (payload) => host.invoke(payload));
  const lambda = await startFakeAws([functions.service]);
  t.after(lambda.close);
  return { ...scene, lambda, functions, zip, logs };
}

/** The function `sign`, of a zip that was taken apart. @param atOnce how many processes it may have */
export function hostSigning(
  folder: string,
  env: NodeJS.ProcessEnv,
  atOnce: number,
): { readonly host: FunctionHost; readonly logs: readonly string[] } {
  const logs: string[] = [];
  const host = new FunctionHost(
    {
      name: 'sign',
      file: join(folder, 'index.js'),
      handler: 'handler',
      timeoutMs: 20_000,
      memoryMb: 128,
      region: 'ap-northeast-1',
      account: '123456789012',
      env,
      print: (text) => logs.push(text),
    },
    atOnce,
  );
  return { host, logs };
}
