import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Invocation, Invoked } from './runtime-api.ts';
import { RuntimeApi } from './runtime-api.ts';

/** A function whose code is a file here. */
export interface LocalFunction {
  readonly name: string;
  /** The file of its handler: a module, or a program that is a runtime itself (`bootstrap`). */
  readonly file: string;
  /** The export of a module. */
  readonly handler: string;
  readonly timeoutMs: number;
  /** How long its code may take to load. Default: Lambda's ten seconds. */
  readonly initTimeoutMs?: number;
  readonly memoryMb: number;
  readonly region: string;
  readonly account: string;
  /** What its environment has besides what Lambda sets. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes what it prints, and Lambda's own lines about it. */
  readonly print: (text: string) => void;
}

const EMPTY = Buffer.alloc(0);
/** https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib */
const INIT_MS = 10_000;
const MODULE = /^\.[cm]?[jt]s$/;
/** Whatever imports that is in the runtime already: the SDK. */
const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const BOOTSTRAP = new URL(`./bootstrap${extname(import.meta.url)}`, import.meta.url);

/** One process that runs a function, event after event: what Lambda calls an execution environment. */
export class FunctionProcess {
  readonly #of: LocalFunction;
  readonly #child: ChildProcess;
  readonly #api: RuntimeApi;
  readonly #started = performance.now();
  readonly #loaded = Promise.withResolvers<void>();
  readonly #loading: NodeJS.Timeout;
  #initMs: number | undefined;
  #running: { id: string; began: number; settle: (invoked: Invoked) => void } | undefined;
  #failure: Buffer | undefined;
  /** How it ended. */
  #how = '';
  /** Whether it takes no further event. */
  isGone = false;

  private constructor(of: LocalFunction, api: RuntimeApi) {
    this.#of = of;
    this.#api = api;
    const [program, args] = commandOf(of);
    this.#child = spawn(program, args, {
      cwd: folderOf(of),
      env: { ...environmentOf(of), AWS_LAMBDA_RUNTIME_API: api.address },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { initTimeoutMs = INIT_MS } = of;
    this.#loading = setTimeout(() => this.#tooLong(initTimeoutMs), initTimeoutMs);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', of.print);
    }
    this.#child.on('error', (error) => this.#ended(error.message));
    this.#child.on('exit', (code, signal) =>
      this.#ended(signal === null ? `exit status ${code}` : `signal: ${signal}`),
    );
  }

  static async start(of: LocalFunction): Promise<FunctionProcess> {
    // Nothing happens before it is there: it is what starts the child.
    let started: FunctionProcess;
    const api = await RuntimeApi.open({
      ready: () => started.#ready(),
      answered: (id, invoked) => started.#answered(id, invoked),
      failed: (error) => started.#failed(error),
    });
    started = new FunctionProcess(of, api);
    return started;
  }

  /** How long its code took to load; undefined while it does. */
  get initMs(): number | undefined {
    return this.#initMs;
  }

  /** Runs the function on one event: one at a time. Never rejects. */
  async invoke(payload: Buffer): Promise<Invoked> {
    const { timeoutMs } = this.#of;
    const requestId = randomUUID();
    // To load the code is no part of the time that an event has.
    await this.#loaded.promise;
    const done = Promise.withResolvers<Invoked>();
    this.#running = { id: requestId, began: performance.now(), settle: done.resolve };
    this.#of.print(`START RequestId: ${requestId} Version: $LATEST\n`);
    const timer = setTimeout(() => this.#timeOut(requestId), timeoutMs);
    const deadlineMs = Date.now() + timeoutMs;
    const invocation: Invocation = { requestId, payload, deadlineMs, functionArn: arnOf(this.#of) };
    if (this.isGone) this.#ended(this.#how);
    else this.#api.send(invocation);
    const invoked = await done.promise;
    clearTimeout(timer);
    return invoked;
  }

  stop(): void {
    clearTimeout(this.#loading);
    this.isGone = true;
    this.#child.kill('SIGKILL');
    this.#api.close();
  }

  #ready(): void {
    clearTimeout(this.#loading);
    this.#initMs = performance.now() - this.#started;
    this.#loaded.resolve();
  }

  #failed(error: Buffer): void {
    this.#failure = error;
    this.isGone = true;
  }

  #tooLong(initTimeoutMs: number): void {
    const message = `its code was not loaded within ${(initTimeoutMs / 1000).toFixed(2)} seconds`;
    this.#failure = failure('Sandbox.Timedout', message).payload;
    this.#ended('init timed out');
  }

  #answered(id: string, invoked: Invoked): void {
    if (this.#running?.id === id) this.#settle(invoked);
  }

  #timeOut(requestId: string): void {
    const seconds = (this.#of.timeoutMs / 1000).toFixed(2);
    const message = `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`;
    this.#settle(failure('Sandbox.Timedout', message));
    this.stop();
  }

  /** The process is gone, whatever it was about to answer. */
  #ended(how: string): void {
    this.#how = how;
    this.#loaded.resolve();
    const id = this.#running?.id ?? '';
    const message = `RequestId: ${id} Error: Runtime exited with error: ${how}`;
    const told = this.#failure ?? EMPTY;
    const isTold = told.length > 0;
    this.#settle(
      isTold
        ? { payload: told, functionError: 'Unhandled' }
        : failure('Runtime.ExitError', message),
    );
    this.stop();
  }

  #settle(invoked: Invoked): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#report(running.id, performance.now() - running.began);
    running.settle(invoked);
  }

  #report(id: string, tookMs: number): void {
    const { memoryMb, print } = this.#of;
    const used = memoryUsed(this.#child.pid);
    const parts = [
      `REPORT RequestId: ${id}`,
      `Duration: ${tookMs.toFixed(2)} ms`,
      `Billed Duration: ${Math.ceil(tookMs)} ms`,
      `Memory Size: ${memoryMb} MB`,
      ...(used === undefined ? [] : [`Max Memory Used: ${used} MB`]),
      ...(this.#initMs === undefined ? [] : [`Init Duration: ${this.#initMs.toFixed(2)} ms`]),
    ];
    print(`END RequestId: ${id}\n${parts.join('\t')}\n`);
  }
}

function failure(errorType: string, errorMessage: string): Invoked {
  const payload = Buffer.from(JSON.stringify({ errorType, errorMessage }));
  return { payload, functionError: 'Unhandled' };
}

/** A module is run by this Node, everything else by itself. */
function commandOf({ file, handler, memoryMb }: LocalFunction): [string, string[]] {
  if (!MODULE.test(extname(file))) return [resolve(file), []];
  const [runtime, code, name] = [BOOTSTRAP.href, pathToFileURL(file).href, handler].map((text) =>
    JSON.stringify(text),
  );
  const script = [
    '(await import(',
    runtime,
    ')).runFunction(() => import(',
    code,
    '), ',
    name,
    ')',
  ];
  const heap = `--max-old-space-size=${Math.max(64, memoryMb)}`;
  return [
    process.execPath,
    [heap, '--no-warnings', '--input-type=module', '--eval', script.join('')],
  ];
}

function folderOf({ file }: LocalFunction): string {
  return join(resolve(file), '..');
}

/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html */
function environmentOf(of: LocalFunction): Record<string, string | undefined> {
  return {
    LANG: 'en_US.UTF-8',
    TZ: ':UTC',
    PATH: process.env.PATH,
    NODE_PATH: MODULES,
    AWS_REGION: of.region,
    AWS_DEFAULT_REGION: of.region,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: of.name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(of.memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${of.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: 'local',
    LAMBDA_TASK_ROOT: folderOf(of),
    _HANDLER: `index.${of.handler}`,
    ...of.env,
  };
}

export function arnOf({
  region,
  account,
  name,
}: Pick<LocalFunction, 'region' | 'account' | 'name'>) {
  return `arn:aws:lambda:${region}:${account}:function:${name}`;
}

/** At most, in MB; undefined where the system does not tell. */
function memoryUsed(pid: number | undefined): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.ceil(Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1]) / 1024);
  } catch {
    return undefined;
  }
}
