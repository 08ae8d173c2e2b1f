import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import type { OutcomeEvent } from '../audit/event.ts';
import { load } from '../config/load.ts';
import { parseNetwork } from '../config/networks.ts';
import { specialRange } from '../core/address-class.ts';
import { parseAuthority } from '../core/destination.ts';
import { Fault } from '../core/diagnostic.ts';
import { SekishoError } from '../core/errors.ts';
import { Ip } from '../core/ip.ts';
import { REASONS, TROUBLES } from '../core/reasons.ts';
import { type Gateway, startGateway } from '../gateway.ts';
import { createLogger } from '../log.ts';
import { type Observation, suggestPolicy } from '../policy/suggest.ts';

const PRINCIPAL = 'workload';

interface Options {
  readonly addresses: readonly string[];
  readonly policy: string | undefined;
}

export function tryCommand(): Command {
  return new Command('try')
    .description(
      'run a command behind a throw-away gateway, see whom it contacts, get the policy that it needs',
    )
    .argument('<command...>', 'the command and its arguments, after --')
    .option(
      '--addresses <cidr...>',
      'addresses that are not public and may be reached all the same',
      collectNetwork,
      [],
    )
    .option('--policy <file>', 'write the policy to a new file instead of printing it')
    .passThroughOptions()
    .addHelpText(
      'after',
      `
The command gets HTTP_PROXY, HTTPS_PROXY and their like. What ignores them is not seen here, and would not get out
through a gateway either. Its exit code is passed on.

Examples:
  sekisho try -- python3 app.py
  sekisho try --policy sekisho.yaml --addresses 10.0.5.0/24 -- npm test
`,
    )
    .action(async (command: string[], options: Options) => {
      process.exitCode = await tryRun(command, options);
    });
}

function collectNetwork(text: string, known: readonly string[]): readonly string[] {
  try {
    return [...known, String(parseNetwork(text))];
  } catch (error) {
    if (error instanceof Fault) throw new InvalidArgumentError(`${error.message}; ${error.remedy}`);
    throw error;
  }
}

async function tryRun(command: readonly string[], { policy, addresses }: Options): Promise<number> {
  if (policy === undefined) {
    return tryCommandLine(command, addresses, (text) => void process.stdout.write(`\n${text}`));
  }
  const file = await createFile(policy);
  try {
    return await tryCommandLine(command, addresses, async (text) => {
      await file.writeFile(text);
      process.stderr.write(`The policy that this run needs is in ${policy}\n`);
    });
  } catch (error) {
    await rm(policy);
    throw error;
  } finally {
    await file.close();
  }
}

/** Before the command runs: a run may take long, and what it would end with must have its place. */
async function createFile(path: string): Promise<FileHandle> {
  return open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    const what = error.code === 'EEXIST' ? 'exists already' : `cannot be created: ${error.message}`;
    const message = `${path} ${what}; give --policy the name of a new file`;
    throw new SekishoError('try-failed', message, { cause: error });
  });
}

async function tryCommandLine(
  command: readonly string[],
  addresses: readonly string[],
  deliver: (policy: string) => void | Promise<void>,
): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-try-'));
  const password = randomBytes(16).toString('hex');
  const gateway = await startThrowAway(dir, password, addresses);
  const observations: Observation[] = [];
  gateway.onAuditEvent((event) => {
    if (event.type !== 'outcome') return;
    process.stderr.write(`${liveLine(event)}\n`);
    const observation = observe(event);
    if (observation !== undefined) observations.push(observation);
  });
  try {
    const [proxy] = [...gateway.listeners.values()].flat();
    const code = await runBehind(
      command,
      `http://${PRINCIPAL}:${password}@${proxy?.host}:${proxy?.port}`,
    );
    await gateway.stop({ notice: false });
    await deliver(suggestPolicy(PRINCIPAL, observations));
    return code;
  } finally {
    await gateway.stop({ notice: false });
    await rm(dir, { recursive: true, force: true });
  }
}

/** Everything public passes in report mode; what the user opened besides, by a rule. */
async function startThrowAway(
  dir: string,
  password: string,
  opened: readonly string[],
): Promise<Gateway> {
  const networks = [...opened, '0.0.0.0/0', '::/0'].map((text) => JSON.stringify(text)).join(', ');
  const rule = `  - { name: opened, allow: [${PRINCIPAL}], to: ["*", ${networks}], ports: ["1-65535"], addresses: [${networks}] }`;
  const text = `
version: 1
gateway: { name: try, dataDir: ./var }
admin: { bind: "127.0.0.1:0" }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { ${PRINCIPAL}: { identify: [{ basic: { username: ${PRINCIPAL}, password: { literal: ${password} } } }] } }
enforcement: report
rules:${opened.length > 0 ? `\n${rule}` : ' []'}
`;
  const file = join(dir, 'sekisho.yaml');
  await writeFile(file, text, { mode: 0o600 });
  const log = createLogger(process.stderr);
  log.level = 'warn';
  return startGateway(load(file, { env: {} }), { env: {}, log });
}

async function runBehind([program, ...args]: readonly string[], proxy: string): Promise<number> {
  const env: NodeJS.ProcessEnv = { ...process.env, NODE_USE_ENV_PROXY: '1' };
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']) {
    env[name] = proxy;
    env[name.toLowerCase()] = proxy;
  }
  // What goes past the proxy is not seen.
  delete env.NO_PROXY;
  delete env.no_proxy;
  const child = spawn(program as string, args, { stdio: 'inherit', env });
  const interrupt = () => {}; // the terminal sends Ctrl-C to the child as well; its end is ours
  process.on('SIGINT', interrupt);
  try {
    return await exitCode(child, program as string);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

async function exitCode(child: ChildProcess, program: string): Promise<number> {
  const [code, signal] = (await once(child, 'exit').catch((error: NodeJS.ErrnoException) => {
    const remedy = error.code === 'ENOENT' ? 'there is no such program on the PATH' : error.message;
    throw new SekishoError('try-failed', `cannot run ${program}: ${remedy}`, { cause: error });
  })) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0);
}

function liveLine(event: OutcomeEvent): string {
  const { decision, outcome, destination, action, path } = event;
  const what = `${action} ${destination ?? '-'}${path ?? ''}`;
  const passed = decision !== null && (decision.effect === 'allow' || decision.mode === 'report');
  if (!passed) return pc.red(`✗ ${what}  ${refusalText(event)}`);
  if (outcome.error !== null) return pc.yellow(`! ${what}  ${TROUBLES[outcome.error].says}`);
  return pc.dim(
    `✓ ${what}  ${outcome.bytesUp} B up, ${outcome.bytesDown} B down, ${Math.round(outcome.durationMs)} ms`,
  );
}

function refusalText({ decision }: OutcomeEvent): string {
  if (decision === null) return '';
  const hint = decision.reason === 'address-forbidden' ? ' (--addresses lets named ones pass)' : '';
  return `${decision.reason}: ${REASONS[decision.reason].says}${hint}`;
}

/** What passed; a refused exchange is nothing that the policy should hold. */
function observe(event: OutcomeEvent): Observation | undefined {
  const { decision, destination, action } = event;
  if (destination === null || decision === null) return undefined;
  if (decision.effect === 'deny' && decision.mode === 'enforce') return undefined;
  const { host, port } = parseAuthority(destination);
  const address = event.address === null ? undefined : Ip.parse(event.address);
  return {
    destination: { scheme: action === 'CONNECT' ? 'tunnel' : 'http', host, port: port as number },
    address: address !== undefined && specialRange(address) !== undefined ? address : undefined,
  };
}
