import { Command } from 'commander';
import { printable } from '../audit/printable.ts';
import { findCertificate } from './ca-certificate.ts';

export function caShowCommand(): Command {
  return new Command('show')
    .description('print the certificate for the trust store of a workload, and its facts on stderr')
    .option('-c, --config <file>', 'the configuration of the gateway', 'sekisho.yaml')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Examples:
  sekisho ca show > sekisho-ca.pem
  sekisho ca show --json | jq -r .fingerprint
`,
    )
    .exitOverride()
    .action(async ({ config, json }: { config: string; json?: true }) => {
      const { certificate, file } = await findCertificate(config);
      const facts = {
        name: certificate.subject.replace(/^.*CN=/s, ''),
        fingerprint: certificate.fingerprint256,
        ends: certificate.validToDate.toISOString(),
      };
      const pem = certificate.toString();
      if (json) {
        const report = { ...facts, file: file ?? null, certificate: pem };
        process.stdout.write(`${JSON.stringify(report)}\n`);
        return;
      }
      process.stderr.write(
        `${printable(facts.name)}\n  SHA-256  ${facts.fingerprint}\n  ends     ${facts.ends}\n`,
      );
      process.stdout.write(pem);
    });
}
