/** The agent, and the function behind what stands for Lambda: `signing-function-server.ts PORT SITE`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { FunctionHost } from '../../src/lambda/runtime/function-host.ts';
import { GATEWAY } from '../build.ts';
import { deployFunction } from '../signing.ts';

const [port, site] = process.argv.slice(2) as [string, string];
const AT_ONCE = 64;

const of = await deployFunction(JSON.parse(site), 'env');
const host = new FunctionHost({ ...of, print: () => {} }, AT_ONCE);
const lambda = createServer(async (request, response) => {
  const invoked = await host.invoke(await buffer(request));
  response.writeHead(invoked === undefined ? 429 : 200, { 'content-type': 'application/json' });
  response.end(invoked?.payload);
});
lambda.listen(0, '127.0.0.1');
await once(lambda, 'listening');
spawn(process.execPath, [GATEWAY, 'agent', '--function', 'sign', '--bind', `127.0.0.1:${port}`], {
  stdio: 'inherit',
  env: {
    ...process.env,
    AWS_ENDPOINT_URL: `http://127.0.0.1:${(lambda.address() as AddressInfo).port}`,
    AWS_REGION: of.region,
    AWS_ACCESS_KEY_ID: 'AKIABENCH',
    AWS_SECRET_ACCESS_KEY: 'bench',
  },
});
