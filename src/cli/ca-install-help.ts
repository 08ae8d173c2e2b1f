import { Argument, Command } from 'commander';
import pc from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import { findCertificate } from './ca-certificate.ts';
import { ECOSYSTEMS, type Ecosystem, SYSTEM_BUNDLE } from './ca-ecosystems.ts';

const CA = 'sekisho-ca.pem';
const BUNDLE = 'sekisho-bundle.pem';

export function caInstallHelpCommand(): Command {
  const names = ECOSYSTEMS.map(({ name }) => name);
  return new Command('install-help')
    .description('print what makes the programs of each ecosystem trust the CA')
    .addArgument(new Argument('[ecosystem]', 'one of them alone').choices(names))
    .option('-c, --config <file>', 'the configuration of the gateway', 'sekisho.yaml')
    .addHelpText('after', '\nExample:\n  sekisho ca install-help python\n')
    .exitOverride()
    .action(async (name: string | undefined, { config }: { config: string }) => {
      const { certificate } = await findCertificate(config);
      const chosen = ECOSYSTEMS.filter((one) => name === undefined || one.name === name);
      const colors = pc.createColors(process.stdout.isTTY === true && pc.isColorSupported);
      process.stdout.write(helpText(chosen, certificate.fingerprint256, config, colors));
    });
}

function helpText(
  chosen: readonly Ecosystem[],
  fingerprint: string,
  config: string,
  colors: Colors,
): string {
  const fetched = [
    `sekisho ca show -c ${config} > ${CA}`,
    ...(chosen.some(({ bundle }) => bundle) ? [`cat ${SYSTEM_BUNDLE} ${CA} > ${BUNDLE}`] : []),
  ];
  const parts = [
    part(`First: the certificate, SHA-256 ${fingerprint}`, fetched, colors),
    ...chosen.map(({ title, lines }) => part(title, lines.map(withPaths), colors)),
  ];
  return `${parts.join('\n')}`;
}

function part(title: string, lines: readonly string[], colors: Colors): string {
  return `${colors.bold(`# ${title}`)}\n${lines.map((line) => `${line}\n`).join('')}`;
}

function withPaths(line: string): string {
  return line.replace(/\b(CA|BUNDLE)\b/, (word) => `$PWD/${word === 'CA' ? CA : BUNDLE}`);
}
