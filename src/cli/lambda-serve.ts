import { existsSync, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { CallFailure } from '../client/call-failure.ts';
import { createEventServer } from '../client/event-server.ts';
import { FunctionCaller, functionFailed, readAnswer } from '../client/function-caller.ts';
import type { Bind } from '../config/config.ts';
import { FunctionHost } from '../lambda/runtime/function-host.ts';
import { createLogger, type Logger } from '../log.ts';
import { FORMATS, type FormatName } from '../wire/lambda-events/formats.ts';
import type {
  EventAnswer,
  EventFormat,
  EventPlace,
  EventRequest,
} from '../wire/lambda-events/message.ts';
import { parseLoopback } from './loopback.ts';
import { parsePositive } from './positive.ts';
import { serveUntilStopped } from './serve-until.ts';

interface Options {
  readonly handler?: string;
  readonly function?: string;
  readonly event: FormatName;
  readonly bind: Bind;
  readonly timeout: number;
  readonly memory: number;
  readonly env: readonly string[];
  readonly concurrency: number;
  readonly region: string;
  readonly account: string;
}

export function serveCommand(): Command {
  const forms = Object.keys(FORMATS);
  const event = new Option('--event <form>', 'the form of its events');
  return new Command('serve')
    .description('a function behind HTTP: one in AWS by Invoke, or a file here as Lambda runs it')
    .option(
      '--handler <file>',
      'its file; behind a # the export, else handler; a program speaks for itself',
    )
    .option('--function <name>', 'the name or ARN of one in AWS')
    .addOption(event.choices(forms).default('apigateway-v2'))
    .addOption(
      new Option('--bind <address>', 'where to listen, on this host')
        .argParser(parseLoopback)
        .default(DEFAULT_BIND, `${DEFAULT_BIND.host}:${DEFAULT_BIND.port}`),
    )
    .option('--timeout <seconds>', 'of the function', parsePositive, 3)
    .option('--memory <megabytes>', 'of the function', parsePositive, 128)
    .option('--concurrency <count>', 'events at a time; beyond it 429', parsePositive, 10)
    .option('--env <name=value...>', 'its environment', [])
    .option('--region <region>', 'what its events say', process.env.AWS_REGION ?? 'us-east-1')
    .option('--account <number>', 'what its events say', '123456789012')
    .addHelpText('after', HELP)
    .exitOverride()
    .action((options: Options, command: Command) => runServe(options, command));
}

const DEFAULT_BIND: Bind = { host: '127.0.0.1', port: 8080 };
const HELP = `
Example:
  sekisho lambda serve --handler ./index.mjs#handler --event apigateway-v2 --env STAGE=local
`;

/** What gives a request to the function. */
interface Served {
  send(request: EventRequest, place: EventPlace, signal: AbortSignal): Promise<EventAnswer>;
  stop(): void;
}

async function runServe(options: Options, command: Command): Promise<void> {
  const log = createLogger(process.stderr);
  const format = FORMATS[options.event];
  const served = servedBy(options, format, log, command);
  const { region, account, bind, concurrency: atOnce } = options;
  const server = createEventServer({
    region,
    account,
    atOnce,
    send: (request, place, signal) => served.send(request, place, signal),
    failed: ({ code, message }) =>
      log.warn({ reason: code, detail: message }, 'a request got no answer'),
  });
  await serveUntilStopped(server, bind, 'lambda serve', (url) => {
    log.info({ listening: url, event: format.name }, 'serves the function');
  }).finally(() => served.stop());
}

function servedBy(options: Options, format: EventFormat, log: Logger, command: Command): Served {
  const { handler, function: functionName } = options;
  if ((handler === undefined) === (functionName === undefined)) {
    command.error('error: write either --handler or --function');
  }
  if (functionName === undefined)
    return serveFile(handler as string, options, format, log, command);
  const caller = new FunctionCaller({ functionName }, format);
  return {
    send: (request, place, signal) => caller.send(request, place, signal),
    stop: () => caller.close(),
  };
}

function serveFile(
  handler: string,
  options: Options,
  format: EventFormat,
  log: Logger,
  command: Command,
): Served {
  const [file = '', name = 'handler'] = handler.split('#');
  if (!existsSync(file)) {
    command.error(
      `error: there is no ${resolve(file)}; --handler takes FILE#EXPORT, from this folder`,
    );
  }
  const host = new FunctionHost(
    {
      name: basename(file).replace(/\..*$/, ''),
      file,
      handler: name,
      timeoutMs: options.timeout * 1000,
      memoryMb: options.memory,
      region: options.region,
      account: options.account,
      env: {
        ...awsOf(process.env),
        ...Object.fromEntries(options.env.map((pair) => toPair(pair, command))),
      },
      print: (text) => process.stdout.write(text),
    },
    options.concurrency,
  );
  let isTold = false;
  const watcher = watch(dirname(resolve(file)), { recursive: true }, (_event, changed) => {
    if (changed?.includes('node_modules') === true) return;
    host.reload();
    // Once before each event: where this log is itself a file in that folder, every line of it is a change.
    if (isTold) return;
    isTold = true;
    log.info({ changed }, 'later events run the changed code');
  });
  return {
    async send(request, place) {
      isTold = false;
      const event = Buffer.from(JSON.stringify(format.writeRequest(request, place)));
      const invoked = await host.invoke(event);
      if (invoked === undefined)
        throw new CallFailure('call-throttled', 'too many events at a time');
      const payload = invoked.payload.toString('utf8');
      if (invoked.functionError !== undefined) throw functionFailed(invoked.functionError, payload);
      return readAnswer(format, payload);
    },
    stop() {
      watcher.close();
      host.stop();
    },
  };
}

/** By which a function here is whoever runs it, as one in AWS is its role. */
function awsOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => /^(?:AWS_|HOME$)/.test(name)));
}

function toPair(text: string, command: Command): [string, string] {
  const [, name, value = ''] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined)
    command.error(`error: --env takes NAME=value, not ${JSON.stringify(text)}`);
  return [name, value];
}
