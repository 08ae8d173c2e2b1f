import type { Invoked } from '../../../src/lambda/runtime/runtime-api.ts';
import { AwsError, accessDenied } from './aws-error.ts';
import type { Call, FakeService, Protocol, Reply } from './service.ts';

/** Of a synchronous Invoke, each way. */
const MOST_REQUEST = 6_291_456;
const MOST_RESPONSE = 6_291_556;

/** Runs one function; undefined where too many events are under way. */
export type RunFunction = (payload: Buffer) => Promise<Invoked | undefined>;

/** Lambda, as far as a synchronous Invoke goes. */
export class Functions {
  readonly #byName = new Map<string, RunFunction>();

  add(name: string, run: RunFunction): void {
    this.#byName.set(name, run);
  }

  readonly service: FakeService = {
    name: 'lambda',
    protocol: restJson(),
    operations: { Invoke: (_input, call) => this.#invoke(call) },
  };

  async #invoke(call: Call): Promise<Reply> {
    const { identity, region, request } = call;
    const name = decodeURIComponent(PATH.exec(request.url)?.[1] ?? '').replace(/^.*:function:/, '');
    const arn = `arn:aws:lambda:${region}:123456789012:function:${name}`;
    if (identity.allows?.('lambda:InvokeFunction', arn) === false) {
      const denied = accessDenied(identity.arn, 'lambda:InvokeFunction', arn);
      throw new AwsError(denied.code, denied.message, 403);
    }
    const run = this.#byName.get(name);
    if (run === undefined)
      throw new AwsError('ResourceNotFoundException', `Function not found: ${arn}`, 404);
    if (request.body.length > MOST_REQUEST) {
      const message = `${request.body.length} byte payload is too large for the RequestResponse invocation type (limit ${MOST_REQUEST} bytes)`;
      throw new AwsError('RequestTooLargeException', message, 413);
    }
    const invoked = await run(request.body);
    if (invoked === undefined)
      throw new AwsError('TooManyRequestsException', 'Rate Exceeded.', 429);
    return toReply(invoked);
  }
}

const PATH = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/;

function toReply({ payload, functionError }: Invoked): Reply {
  const isTooLarge = payload.length > MOST_RESPONSE;
  const error = isTooLarge ? 'Unhandled' : functionError;
  const message = `Response payload size exceeded maximum allowed payload size (${MOST_RESPONSE} bytes).`;
  return {
    status: 200,
    headers: {
      'content-type': 'application/json',
      'x-amz-executed-version': '$LATEST',
      ...(error !== undefined && { 'x-amz-function-error': error }),
    },
    body: isTooLarge
      ? JSON.stringify({ errorMessage: message, errorType: 'Function.ResponseSizeTooLarge' })
      : payload,
  };
}

/** REST with JSON: the operation is in the path. */
function restJson(): Protocol {
  return {
    read({ method, url }) {
      if (method === 'POST' && PATH.test(url)) return { operation: 'Invoke', input: {} };
      throw new AwsError('UnknownOperationException', 'the path names no operation', 404);
    },
    answer: (_operation, output) => output as Reply,
    refuse: ({ code, message, status }, id) => ({
      status,
      headers: {
        'content-type': 'application/json',
        'x-amzn-errortype': code,
        'x-amzn-requestid': id,
      },
      body: JSON.stringify({ Type: 'User', message }),
    }),
    signatureError: ({ kind, message }) =>
      new AwsError(
        kind === 'missing' ? 'MissingAuthenticationTokenException' : 'InvalidSignatureException',
        message,
        403,
      ),
  };
}
