import { Command, Option } from 'commander';
import { createEventServer } from '../client/event-server.ts';
import { FunctionCaller, PATIENCE_MS } from '../client/function-caller.ts';
import type { Bind } from '../config/config.ts';
import { createLogger } from '../log.ts';
import { FORMATS } from '../wire/lambda-events/formats.ts';
import { parseLoopback } from './loopback.ts';
import { parsePositive } from './positive.ts';
import { serveUntilStopped } from './serve-until.ts';

interface Options {
  readonly function?: string;
  readonly functionName?: string;
  readonly bind: Bind;
  readonly addr?: Bind;
  readonly concurrency: number;
  readonly timeout: number;
}

export function agentCommand(): Command {
  return new Command('agent')
    .description('a proxy beside a workload that sends its requests by a signing function')
    .option('--function <name>', 'the function: name or ARN')
    .addOption(new Option('--function-name <name>', 'as --function').hideHelp())
    .addOption(
      new Option('--bind <address>', 'where to listen, on this host')
        .argParser(parseLoopback)
        .default(DEFAULT_BIND, `${DEFAULT_BIND.host}:${DEFAULT_BIND.port}`),
    )
    .addOption(new Option('--addr <address>', 'as --bind').argParser(parseLoopback).hideHelp())
    .option('--concurrency <count>', 'requests at a time; beyond it 429', parsePositive, 50)
    .option('--timeout <seconds>', 'for an answer', parsePositive, PATIENCE_MS / 1000)
    .addHelpText('after', HELP)
    .exitOverride()
    .action((options: Options, command: Command) => runAgent(options, command));
}

const DEFAULT_BIND: Bind = { host: '127.0.0.1', port: 8000 };
const HELP = `
Example:
  sekisho agent --function sekisho-sign --bind 127.0.0.1:8000
  http_proxy=http://127.0.0.1:8000 curl http://api.github.com/user
`;

/** As ssm-sign-proxy is called: `-function-name=NAME -addr=localhost:8000`. */
export function withLongOptions(argv: readonly string[]): readonly string[] {
  if (argv[0] !== 'agent') return argv;
  return argv.map((arg) => (/^-(?:function-name|addr)(?:=|$)/.test(arg) ? `-${arg}` : arg));
}

async function runAgent(options: Options, command: Command): Promise<void> {
  const functionName = options.function ?? options.functionName;
  if (functionName === undefined)
    command.error("error: required option '--function <name>' not specified");
  const log = createLogger(process.stderr);
  const { concurrency: atOnce, timeout } = options;
  const timeoutMs = timeout * 1000;
  const caller = new FunctionCaller({ functionName, timeoutMs }, FORMATS['signing-proxy']);
  const server = createEventServer({
    region: '',
    account: '',
    atOnce,
    send: (request, place, signal) => caller.send(request, place, signal),
    failed: ({ code, message }) =>
      log.warn({ reason: code, detail: message }, 'a request got no answer'),
  });
  await serveUntilStopped(server, options.addr ?? options.bind, 'the agent', (url) => {
    log.info({ listening: url, function: functionName }, 'sends requests by the function');
  });
  caller.close();
}
