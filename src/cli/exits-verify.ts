import { Command, InvalidArgumentError, Option } from 'commander';
import pc from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import { printable } from '../audit/printable.ts';
import { load } from '../config/load.ts';
import { parseHost } from '../core/destination.ts';
import { quote } from '../core/diagnostic.ts';
import { Ip } from '../core/ip.ts';
import { Refusal } from '../core/refusal.ts';
import { createResolver } from '../destination/resolver.ts';
import type { Echo } from '../upstream/echo.ts';
import { EXIT } from './exit-codes.ts';
import { type ExitFinding, type ExitProbe, exitProbes, probeExit } from './exit-probes.ts';
import type { Output } from './output.ts';

interface VerifyOptions {
  readonly config: string;
  readonly exit?: readonly string[];
  readonly echo: Echo;
  readonly json?: true;
}

const ECHO = 'https://checkip.amazonaws.com/';

export function verifyExitsCommand(): Command {
  const echo = new Option('--echo <url>', 'who answers with the address that it sees')
    .argParser(parseEcho)
    .default(parseEcho(ECHO), ECHO);
  return new Command('verify')
    .description('leave by each exit and compare the address that the world sees with its public')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .option('--exit <name...>', 'these exits alone')
    .addOption(echo)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nNo gateway needs to run.\n\nExample:\n  sekisho exits verify --exit fixed --echo https://checkip.example.com/\n',
    )
    .exitOverride()
    .action(async (options: VerifyOptions, command: Command) => {
      const { config } = load(options.config, { env: process.env });
      const names = options.exit ?? config.exits.map(({ name }) => name);
      const unknown = names.find((name) => !config.exits.some((exit) => exit.name === name));
      if (unknown !== undefined) command.error(`error: no exit is called ${quote(unknown)}`);
      const exits = config.exits.filter(({ name }) => names.includes(name));
      const probes = exitProbes(exits, config, process.env);
      const resolver = createResolver({ servers: config.gateway.resolvers });
      const findings = await verifyAll(
        probes,
        (probe) => probeExit(probe, options.echo, resolver),
        process.stderr,
      ).finally(() => resolver.close());
      const isOk = findings.every(({ status }) => status === 'ok' || status === 'unstated');
      process.stdout.write(
        options.json
          ? `${JSON.stringify({ ok: isOk, exits: findings })}\n`
          : findingsText(findings, options.config),
      );
      process.exitCode = isOk ? EXIT.done : EXIT.found;
    });
}

function parseEcho(text: string): Echo {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new InvalidArgumentError(`Write a URL such as ${ECHO}`);
  }
  try {
    const name = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const isSecure = url.protocol === 'https:';
    const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
    const path = `${url.pathname}${url.search}`;
    return { host: Ip.parse(name) ?? parseHost(name), port, isSecure, path };
  } catch (error) {
    if (error instanceof Refusal) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Each may wait for as long as its time limit; an operator with a hundred exits need not. */
const AT_ONCE = 8;
const SHOW_EVERY_MS = 2_000;

async function verifyAll(
  probes: readonly ExitProbe[],
  verify: (probe: ExitProbe) => Promise<ExitFinding>,
  progress: Output,
): Promise<ExitFinding[]> {
  const findings: ExitFinding[] = [];
  let next = 0;
  let done = 0;
  const show = () => progress.write(`verifying: ${done} of ${probes.length}\n`);
  const timer = setInterval(show, SHOW_EVERY_MS);
  const work = async () => {
    for (let i = next++; i < probes.length; i = next++) {
      findings[i] = await verify(probes[i] as ExitProbe);
      done++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work)).finally(() => clearInterval(timer));
  return findings;
}

function findingsText(findings: readonly ExitFinding[], file: string): string {
  if (findings.length === 0) return `${file} has no exits\n`;
  const colors = pc.createColors(process.stdout.isTTY === true && pc.isColorSupported);
  return findings.map((finding) => `${findingText(finding, colors)}\n`).join('');
}

function findingText(finding: ExitFinding, colors: Colors): string {
  const { exit, leaves, status, seen } = finding;
  const isOk = status === 'ok';
  const color = isOk ? colors.green : status === 'unstated' ? colors.yellow : colors.red;
  const what = status === 'unreachable' ? finding.detail : `seen as ${seen}${remedy(finding)}`;
  return `${color(status.padEnd(11))} ${colors.bold(exit)} (${leaves}): ${printable(what ?? '')}`;
}

function remedy({ status, seen, public: stated }: ExitFinding): string {
  if (status === 'differs') {
    return `, while public says ${stated.join(', ')}: correct public, and what every SaaS has listed`;
  }
  return status === 'unstated' ? `, while public says nothing: write public: ["${seen}"]` : '';
}
