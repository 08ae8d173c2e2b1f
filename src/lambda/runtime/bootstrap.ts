import { request } from 'node:http';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

type Callback = (error: unknown, result?: unknown) => void;
type Handler = (event: unknown, context: Context, callback: Callback) => unknown;

/** As Lambda's runtime for Node.js gives it (https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html). */
interface Context {
  readonly awsRequestId: string;
  readonly invokedFunctionArn: string;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly memoryLimitInMB: string;
  readonly logGroupName: string;
  readonly logStreamName: string;
  callbackWaitsForEmptyEventLoop: boolean;
  getRemainingTimeInMillis(): number;
}

const { env } = process;

/**
 * Runs a function for whoever speaks Lambda's runtime interface at `AWS_LAMBDA_RUNTIME_API`, one event at a time, for ever.
 *
 * @param load gives the module of the handler
 * @param name of its export: `handler`, `api.handler`
 */
export async function runFunction(load: () => Promise<unknown>, name: string): Promise<void> {
  process.on('uncaughtException', (error, origin) => void fall(error, origin));
  let handler: Handler;
  try {
    handler = find(await load(), name);
  } catch (error) {
    console.error(error);
    await call('POST', 'init/error', describe(error));
    process.exit(1);
  }
  if (callsBack(handler)) {
    console.warn('a handler that calls back: the runtimes of AWS take none from nodejs24.x on');
  }
  for (;;) await serveOne(handler);
}

/**
 * What nobody caught ends the process, and is the answer to the event that is under way, if there is one. It is told as what ends
 * a start, so that no further event comes meanwhile.
 */
async function fall(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): Promise<void> {
  const told = describe(error, origin === 'unhandledRejection');
  await call('POST', 'init/error', told).finally(() => {
    console.error(error);
    process.exit(129);
  });
}

async function serveOne(handler: Handler): Promise<void> {
  const { headers, body } = await call('GET', 'invocation/next');
  const header = (key: string) => String(headers[`lambda-runtime-${key}`]);
  const id = header('aws-request-id');
  env._X_AMZN_TRACE_ID = header('trace-id');
  const context = contextOf(id, Number(header('deadline-ms')), header('invoked-function-arn'));
  let answer: { readonly path: string; readonly body: string };
  try {
    const result = await run(handler, JSON.parse(body), context);
    answer = { path: `invocation/${id}/response`, body: JSON.stringify(result ?? null) };
  } catch (error) {
    console.error(error);
    answer = { path: `invocation/${id}/error`, body: describe(error) };
  }
  const { status } = await call('POST', answer.path, answer.body);
  if (status !== 413) return;
  const tooLarge = new Error('Exceeded maximum allowed payload size (6291556 bytes).');
  tooLarge.name = 'Function.ResponseSizeTooLarge';
  await call('POST', `invocation/${id}/error`, describe(tooLarge));
}

function callsBack(handler: Handler): boolean {
  return handler.length >= 3;
}

function run(handler: Handler, event: unknown, context: Context): Promise<unknown> {
  if (callsBack(handler)) return runCallingBack(handler, event, context);
  return Promise.resolve(handler(event, context, () => {}));
}

/**
 * A handler of the old kind calls back, or gives a promise, or leaves nothing to wait for. What it called back with is its answer once
 * nothing is left to wait for, unless it says that this does not matter. Errors are at once.
 */
function runCallingBack(handler: Handler, event: unknown, context: Context): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let given: unknown = null;
    const nothingLeft = () => resolve(given);
    const settle = (end: () => void) => {
      process.off('beforeExit', nothingLeft);
      end();
    };
    const callback: Callback = (error, result) => {
      if (error !== null && error !== undefined) settle(() => reject(error));
      else if (context.callbackWaitsForEmptyEventLoop) given = result;
      else settle(() => resolve(result));
    };
    process.once('beforeExit', nothingLeft);
    Promise.resolve(handler(event, context, callback)).then((result) => {
      if (result !== undefined) settle(() => resolve(result));
    }, callback);
  });
}

function contextOf(awsRequestId: string, deadlineMs: number, invokedFunctionArn: string): Context {
  const { AWS_LAMBDA_FUNCTION_NAME: functionName = '' } = env;
  return {
    awsRequestId,
    invokedFunctionArn,
    functionName,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION ?? '$LATEST',
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE ?? '128',
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME ?? '',
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME ?? '',
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
  };
}

function find(module: unknown, name: string): Handler {
  const inside = (from: unknown) =>
    name
      .split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | null)?.[key], from);
  const found = inside(module) ?? inside((module as { default?: unknown }).default);
  if (typeof found === 'function') return found as Handler;
  const error = new Error(`${name} is undefined or not exported`);
  error.name = 'Runtime.HandlerNotFound';
  throw error;
}

function describe(error: unknown, isRejection = false): string {
  const {
    name,
    message,
    stack = '',
  } = error instanceof Error ? error : { name: typeof error, message: String(error) };
  const errorType = isRejection ? 'Runtime.UnhandledPromiseRejection' : name;
  return JSON.stringify({ errorType, errorMessage: message, trace: stack.split('\n') });
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

function call(method: string, path: string, body = ''): Promise<Answer> {
  const url = `http://${env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/${path}`;
  return new Promise((resolve, reject) => {
    request(url, { method, headers: { 'content-length': Buffer.byteLength(body) } })
      .on('error', reject)
      .on('response', (response) => {
        const { statusCode: status, headers } = response;
        text(response as Readable).then((all) => resolve({ status, headers, body: all }), reject);
      })
      .end(body);
  });
}
