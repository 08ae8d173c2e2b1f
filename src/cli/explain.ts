import { Command, InvalidArgumentError, Option } from 'commander';
import pc from 'picocolors';
import type { PrincipalConfig } from '../config/config.ts';
import { passes } from '../core/decision.ts';
import {
  type Authority,
  DEFAULT_PORTS,
  destinationText,
  parseAuthority,
  type Scheme,
} from '../core/destination.ts';
import { quote } from '../core/diagnostic.ts';
import { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import { REASONS } from '../core/reasons.ts';
import { Refusal } from '../core/refusal.ts';
import {
  compile,
  type Explanation,
  explain,
  isLeftToParent,
  type Question,
  type RuleExplanation,
} from '../policy/policy.ts';
import { EXIT } from './exit-codes.ts';
import { loadRecalled, tellListWarnings } from './recalled.ts';

interface ExplainOptions {
  readonly config: string;
  readonly principal: string;
  readonly to: Authority;
  readonly scheme?: Scheme;
  readonly method?: string;
  readonly path?: string;
  readonly address: readonly Ip[];
  readonly json?: true;
}

export function explainCommand(): Command {
  const scheme = new Option('--scheme <scheme>', 'as a tunnel (CONNECT) or as plain http');
  return new Command('explain')
    .description('tell the decision, and why each rule did or did not match')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .requiredOption('--principal <name>', 'who asks; anonymous for nobody identified')
    .requiredOption('--to <host:port>', 'where to', parseTo)
    .addOption(scheme.choices(['tunnel', 'http']))
    .option('--method <method>', 'of a request that can be read')
    .option('--path <path>', 'of a request that can be read, without query')
    .option('--address <ip>', 'what the name resolves to; may be repeated', collectAddress, [])
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  sekisho explain --principal orders-fn --to api.github.com:443\n',
    )
    .action(async (options: ExplainOptions, command: Command) => {
      const loaded = await loadRecalled(options.config, { env: process.env });
      tellListWarnings(loaded);
      const { config } = loaded;
      const principal = principalOf(options.principal, config.principals, command);
      const question = questionOf(options, principal, Date.now());
      const explanation = explain(compile(config), question, options.address);
      process.stdout.write(
        options.json ? `${JSON.stringify(explanation)}\n` : explanationText(question, explanation),
      );
      process.exitCode = passes(explanation.decision) ? EXIT.done : EXIT.found;
    });
}

function parseTo(text: string): Authority {
  try {
    return parseAuthority(text);
  } catch (error) {
    if (error instanceof Refusal) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function collectAddress(text: string, known: readonly Ip[]): Ip[] {
  const ip = Ip.parse(text);
  if (ip === undefined) throw new InvalidArgumentError('not an IP address');
  return [...known, ip];
}

function questionOf(
  options: ExplainOptions,
  principal: Principal | undefined,
  now: number,
): Question {
  const { to, method, path } = options;
  const isRequest = method !== undefined || path !== undefined;
  const scheme =
    options.scheme ?? (isRequest || to.port === DEFAULT_PORTS.http ? 'http' : 'tunnel');
  const isReadable = isRequest || scheme === 'http';
  return {
    principal,
    destination: { scheme, host: to.host, port: to.port ?? DEFAULT_PORTS[scheme] },
    request: isReadable ? { method: method ?? 'GET', path: path ?? '/' } : undefined,
    now,
  };
}

/** Ends as wrong usage when the configuration has no such principal. */
function principalOf(
  name: string,
  principals: readonly PrincipalConfig[],
  command: Command,
): Principal | undefined {
  if (name === 'anonymous') return undefined;
  const declared = principals.find((principal) => principal.name === name);
  if (declared === undefined) {
    const known = [...principals.slice(0, 10).map((principal) => principal.name), 'anonymous'];
    command.error(`error: no principal is called ${quote(name)}; there are ${known.join(', ')}`);
  }
  const { owner } = declared;
  return { name, method: 'header', ...(owner !== undefined && { owner }) };
}

/** Up to here every rule is listed; beyond, those that speak of the caller or the destination. */
const FEW_RULES = 20;
const MOST_RULES = 100;

function explanationText(question: Question, explanation: Explanation): string {
  const colors = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);
  const { decision, addresses, rules } = explanation;
  const color = passes(decision) ? colors.green : colors.red;
  const word =
    decision.mode === 'report' ? `${decision.effect} (report mode: passes)` : decision.effect;
  const { principal, destination, request } = question;
  const asked = request === undefined ? destination.scheme : `${request.method} ${request.path}`;
  const lines = [
    `${color(word)} ${decision.reason}${decision.rule === undefined ? '' : ` by ${decision.rule}`}`,
    `  ${REASONS[decision.reason].says}`,
    ...(decision.detail === undefined ? [] : [`  ${decision.detail}`]),
    `  ${principal?.name ?? 'anonymous'} to ${destinationText(destination)} (${asked})`,
    ...(decision.owner === undefined ? [] : [`  ask ${decision.owner}`]),
    ...addressLines(question, explanation),
    ...(addresses.length === 0 ? [] : [`  dials ${addresses.join(', ')}`]),
    '',
    ...ruleLines(rules),
    '',
  ];
  return lines.join('\n');
}

function addressLines({ destination }: Question, { decision }: Explanation): string[] {
  if (decision.stage === 'address' || !passes(decision) || destination.host instanceof Ip)
    return [];
  if (isLeftToParent(decision, destination))
    return [`  by name alone: the parent proxy ${decision.settings?.parent?.name} resolves it`];
  return ['  by name alone: --address IP also judges what the name resolves to'];
}

function ruleLines(rules: readonly RuleExplanation[]): string[] {
  const speaking = rules.length <= FEW_RULES ? rules : rules.filter(({ mentions }) => mentions);
  const listed = [...speaking].sort((a, b) => weight(b) - weight(a)).slice(0, MOST_RULES);
  const width = Math.max(0, ...listed.map(({ rule }) => rule.length));
  const lines = listed.map((each) => {
    const mark = each.decides ? '=>' : each.matches ? ' +' : '  ';
    return `${mark} ${each.effect.padEnd(5)} ${each.rule.padEnd(width)}  ${each.why}`;
  });
  const rest = rules.length - listed.length;
  return rest === 0
    ? lines
    : [...lines, `   and ${rest} more ${rest === 1 ? 'rule' : 'rules'} that do not match`];
}

function weight({ decides, matches }: RuleExplanation): number {
  return (decides ? 2 : 0) + (matches ? 1 : 0);
}
