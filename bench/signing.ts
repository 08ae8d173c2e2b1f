import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleFunction } from '../src/lambda/bundle/code.ts';
import type { LocalFunction } from '../src/lambda/runtime/function-process.ts';
import { HOST, type Site, TOKEN } from './peers/peer.ts';

/** Where the token is: in the function's environment, or in Parameter Store. */
export type Secrets = 'env' | 'ssm';

const REFERENCE: Readonly<Record<Secrets, string>> = {
  env: '{ env: BENCH_TOKEN }',
  ssm: '{ ssm: /token }',
};

/** The signing function as it is deployed, with the policy beside its code that the injected row has. */
export async function deployFunction(
  { dir, caFile, httpsPort }: Pick<Site, 'dir' | 'caFile' | 'httpsPort'>,
  secrets: Secrets,
  env: Readonly<Record<string, string>> = {},
): Promise<Omit<LocalFunction, 'print'>> {
  const file = join(dir, 'index.js');
  writeFileSync(file, await bundleFunction('sign'));
  copyFileSync(caFile, join(dir, 'ca.pem'));
  writeFileSync(
    join(dir, 'sekisho.yaml'),
    `version: 1
principals: { invoker: { identify: [{ clientAddress: ["0.0.0.0/0", "::/0"] }] } }
rules:
  - { name: r, allow: [invoker], to: [${HOST}.], ports: [${httpsPort}], addresses: [127.0.0.1], with: token }
credentials:
  token: { for: ${HOST}., tls: { ca: { file: ca.pem } }, header: { Authorization: ["token ", ${REFERENCE[secrets]}] } }
`,
  );
  return {
    name: 'sign',
    file,
    handler: 'handler',
    timeoutMs: 30_000,
    memoryMb: 512,
    region: 'ap-northeast-1',
    account: '123456789012',
    env: { BENCH_TOKEN: TOKEN, ...env },
  };
}
