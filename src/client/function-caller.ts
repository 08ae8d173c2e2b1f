import type { LambdaClient } from '@aws-sdk/client-lambda';
import { clientConfig } from '../secret/aws.ts';
import { EventFault } from '../wire/lambda-events/event-fault.ts';
import { isObject } from '../wire/lambda-events/json.ts';
import type {
  EventAnswer,
  EventFormat,
  EventPlace,
  EventRequest,
} from '../wire/lambda-events/message.ts';
import { CallFailure, type CallFailureCode } from './call-failure.ts';

export interface FunctionOptions {
  /** Name, or ARN; behind a colon a version or alias. */
  readonly functionName: string;
  /** Where the SDK's own settings come from. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long an answer is waited for. Default: as long as a function may run, and a little longer. */
  readonly timeoutMs?: number;
}

/** What a function may be given at a time (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html). */
const MOST_BYTES = 6 * 1024 * 1024;
export const PATIENCE_MS = 905_000;
const CONNECT_MS = 10_000;

/** RFC 9110 section 9.2.2: to ask for it twice has no other effect than once. */
const IDEMPOTENT = /^(?:GET|HEAD|OPTIONS|PUT|DELETE|TRACE)$/;
/** The connection ended as the call was put on it, as one does that was kept for too long. */
const CUT = /^(?:ECONNRESET|EPIPE)$/;

const DENIED =
  /AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|CredentialsProvider|IncompleteSignature|MissingAuthentication/;

/** Gives requests to a function as events, by a synchronous Invoke, and reads its answers. */
export class FunctionCaller {
  readonly #functionName: string;
  readonly #format: EventFormat;
  readonly #env: NonNullable<FunctionOptions['env']>;
  readonly #timeoutMs: number;
  #opened:
    | Promise<{ sdk: typeof import('@aws-sdk/client-lambda'); client: LambdaClient }>
    | undefined;

  constructor(options: FunctionOptions, format: EventFormat) {
    const { functionName, env = process.env, timeoutMs = PATIENCE_MS } = options;
    this.#functionName = functionName;
    this.#format = format;
    this.#env = env;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Once, but for a request that may be sent twice and whose connection was cut: that one is given a second time.
   *
   * @throws CallFailure
   */
  async send(request: EventRequest, place: EventPlace, signal?: AbortSignal): Promise<EventAnswer> {
    const event = Buffer.from(JSON.stringify(this.#format.writeRequest(request, place)));
    const payload = await this.invoke(event, signal).catch((failure: CallFailure) => {
      if (!IDEMPOTENT.test(request.method) || !wasCut(failure)) throw failure;
      return this.invoke(event, signal);
    });
    return readAnswer(this.#format, payload);
  }

  /**
   * @param event as JSON
   * @returns what the function gave, as JSON
   * @throws CallFailure
   */
  async invoke(event: Buffer, abortSignal?: AbortSignal): Promise<string> {
    if (event.length > MOST_BYTES) {
      throw new CallFailure('request-too-large', `an event of ${event.length} bytes`);
    }
    const { sdk, client } = await this.#open();
    const command = new sdk.InvokeCommand({ FunctionName: this.#functionName, Payload: event });
    const output = await client
      .send(command, abortSignal === undefined ? {} : { abortSignal })
      .catch((error: Error) => {
        throw asFailure(error);
      });
    const payload = Buffer.from(output.Payload ?? []).toString('utf8');
    if (output.FunctionError === undefined) return payload;
    throw functionFailed(output.FunctionError, payload);
  }

  close(): void {
    this.#opened
      ?.then(({ client }) => client.destroy())
      .catch(() => {
        // It was told to whoever asked for the client.
      });
  }

  #open() {
    this.#opened ??= import('@aws-sdk/client-lambda').then((sdk) => {
      const client = new sdk.LambdaClient({
        ...clientConfig(this.#env, 'LAMBDA'),
        // A function that was called twice may have sent its request twice, whatever the environment says.
        maxAttempts: 1,
        requestHandler: {
          connectionTimeout: CONNECT_MS,
          requestTimeout: this.#timeoutMs,
          throwOnRequestTimeout: true,
          // How many at a time is for whoever calls to limit: in the SDK's own queue they would time out.
          httpAgent: { maxSockets: Number.POSITIVE_INFINITY },
          httpsAgent: { maxSockets: Number.POSITIVE_INFINITY },
        },
      });
      return { sdk, client };
    });
    return this.#opened;
  }
}

/** @throws CallFailure for what is no answer of the form */
export function readAnswer(format: EventFormat, payload: string): EventAnswer {
  try {
    return format.readAnswer(JSON.parse(payload));
  } catch (error) {
    if (!(error instanceof EventFault || error instanceof SyntaxError)) throw error;
    const why = error instanceof EventFault ? error.message : 'it is not JSON';
    throw new CallFailure('function-failed', `what it answered is no response: ${why}`);
  }
}

/** Its message is the function's own, which nobody here has looked through: only its type is told. */
export function functionFailed(kind: string, payload: string): CallFailure {
  const { errorType, errorMessage } = parse(payload);
  const timedOut = /Timedout/.test(errorType) || /Task timed out after/.test(errorMessage);
  const code = timedOut ? 'function-slow' : 'function-failed';
  return new CallFailure(code, `${kind} ${errorType}`.trim());
}

function parse(payload: string): { errorType: string; errorMessage: string } {
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    value = undefined;
  }
  const text = (name: string) => (isObject(value) ? String(value[name] ?? '') : '');
  return { errorType: text('errorType'), errorMessage: text('errorMessage') };
}

function asFailure(error: Error): CallFailure {
  return new CallFailure(codeOf(error), `${error.name}: ${error.message}`, { cause: error });
}

function wasCut({ cause }: CallFailure): boolean {
  return CUT.test((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}

function codeOf({ name, code }: NodeJS.ErrnoException): CallFailureCode {
  if (/TooManyRequests|Throttl/.test(name)) return 'call-throttled';
  if (/RequestTooLarge|RequestEntityTooLarge/.test(name)) return 'request-too-large';
  if (DENIED.test(name)) return 'call-denied';
  // Without that code it is the connection which took too long.
  return name === 'TimeoutError' && code === 'ETIMEDOUT' ? 'function-slow' : 'call-failed';
}
