import { Command } from 'commander';
import pc from 'picocolors';
import type { Loaded } from '../config/load.ts';
import { secretRefs } from '../config/secret-refs.ts';
import { ConfigError, type Diagnostic, positionText, sortDiagnostics } from '../core/diagnostic.ts';
import { Ip } from '../core/ip.ts';
import { findEndingCertificates } from '../own-certificates.ts';
import { checkExpectations } from '../policy/expectations.ts';
import { compile } from '../policy/policy.ts';
import { findRuleProblems } from '../policy/problems.ts';
import { readSecrets } from '../secret/read.ts';
import { EXIT } from './exit-codes.ts';
import { loadRecalled } from './recalled.ts';

interface CheckOptions {
  readonly config: string;
  readonly json?: true;
  readonly secrets: boolean;
}

/** What `--json` prints. */
interface CheckReport {
  readonly ok: boolean;
  readonly faults: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  /** Of the policy; null when faults leave it unknown, as with `expectations`. */
  readonly digest: string | null;
  readonly expectations: { readonly total: number; readonly failed: number } | null;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('tell every fault and warning of a configuration, and run its expect tests')
    .option('-c, --config <file>', 'the configuration', 'sekisho.yaml')
    .option('--json', 'print one JSON object')
    .option('--no-secrets', 'do without the secrets and the variables of exits')
    .addHelpText('after', '\nExample:\n  sekisho check -c sekisho.yaml --no-secrets\n')
    .action(async (options: CheckOptions) => {
      const report = await check(options);
      process.stdout.write(
        options.json ? `${JSON.stringify(report)}\n` : reportText(report, options.config),
      );
      process.exitCode = report.ok ? EXIT.done : EXIT.found;
    });
}

/** The decisions of a policy do not depend on where its exits leave from. */
const ANY_ADDRESS = Ip.parse('0.0.0.0');

async function check({ config: file, secrets }: CheckOptions): Promise<CheckReport> {
  const now = Date.now();
  let loaded: Loaded;
  try {
    const unsetExit = secrets ? undefined : ANY_ADDRESS;
    loaded = await loadRecalled(file, { env: process.env, now, unsetExit });
  } catch (error) {
    const { faults } = asConfigError(error);
    return { ok: false, faults, warnings: [], digest: null, expectations: null };
  }
  const { config, digest } = loaded;
  const failed = checkExpectations(compile(config), config.expect, now);
  const found = sortDiagnostics([
    ...loaded.warnings,
    ...findRuleProblems(config, now),
    ...findEndingCertificates(config, now),
    ...failed,
    ...(secrets ? findSecretFaults(loaded) : []),
  ]);
  const faults = found.filter(({ severity }) => severity === 'fault');
  return {
    ok: faults.length === 0,
    faults,
    warnings: found.filter(({ severity }) => severity === 'warning'),
    digest,
    expectations: { total: config.expect.length, failed: failed.length },
  };
}

function findSecretFaults({ config }: Loaded): readonly Diagnostic[] {
  try {
    readSecrets(secretRefs(config), { env: process.env });
    return [];
  } catch (error) {
    return asConfigError(error).faults;
  }
}

/** @throws the error itself when it is another one */
function asConfigError(error: unknown): ConfigError {
  if (error instanceof ConfigError) return error;
  throw error;
}

function reportText(report: CheckReport, file: string): string {
  const colors = pc.createColors(process.stdout.isTTY === true && !process.env.NO_COLOR);
  const line = ({ at, severity, message, remedy }: Diagnostic) => {
    const mark = severity === 'warning' ? colors.yellow('warning: ') : '';
    const text = severity === 'fault' ? colors.red(message) : message;
    return `${colors.bold(positionText(at))}: ${mark}${text}; ${remedy}`;
  };
  const lines = [...report.faults, ...report.warnings].map(line);
  return [...lines, `${file}: ${summary(report)}`, ''].join('\n');
}

function summary({ faults, warnings, expectations, digest }: CheckReport): string {
  const parts = [count(faults.length, 'fault'), count(warnings.length, 'warning')];
  if (expectations !== null && expectations.total > 0) {
    const { total, failed } = expectations;
    parts.push(
      `${total - failed} of ${count(total, 'expectation')} ${total === 1 ? 'holds' : 'hold'}`,
    );
  }
  if (digest !== null) parts.push(`policy ${digest}`);
  return parts.join(', ');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
