import { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { load } from '../config/load.ts';
import { invokeRights, type Place, signRights } from '../lambda/rights.ts';
import { conventionConfig } from '../lambda/sign/policy.ts';

interface Options {
  readonly function?: string;
  readonly region?: string;
  readonly account: string;
  readonly config?: string;
  readonly prefix?: string;
  readonly policyParameter?: string;
  readonly key?: string;
}

export function lambdaPolicyCommand(): Command {
  return new Command('policy')
    .description('the least rights, as a policy document of IAM')
    .addArgument(WHOSE)
    .option('--function <name>', 'the name of the function', 'sekisho-sign')
    .option('--region <region>', 'default: AWS_REGION')
    .option('--account <number>', 'of the function; * stands for any', '*')
    .option('-c, --config <file>', 'sign: the policy of the function')
    .option('--prefix <prefix>', 'sign: SSM_SIGN_PROXY_PREFIX of the function')
    .option('--policy-parameter <name>', 'sign: SEKISHO_POLICY_PARAMETER of the function')
    .option('--key <arn>', "sign: the key in KMS, where it is not AWS's own")
    .addHelpText(
      'after',
      '\nExample:\n  sekisho lambda policy sign --prefix /production --account 123456789012\n',
    )
    .exitOverride()
    .action((whose: 'sign' | 'invoke', options: Options, command: Command) => {
      const region = options.region ?? process.env.AWS_REGION;
      if (region === undefined) command.error('--region is missing, and AWS_REGION is not set');
      const { account, function: functionName = '' } = options;
      const place: Place = { region, account, functionName };
      const policy = whose === 'invoke' ? invokeRights(place) : signPolicy(options, place, command);
      process.stdout.write(`${JSON.stringify(policy, null, 2)}\n`);
    });
}

const WHOSE = new Command()
  .createArgument(
    '<whose>',
    'sign: of the signing function; invoke: of whoever sends requests by it',
  )
  .choices(['sign', 'invoke']);

function signPolicy(options: Options, place: Place, command: Command) {
  const { policyParameter, key } = options;
  return signRights({ credentials: credentialsOf(options, command), policyParameter, key }, place);
}

function credentialsOf({ config, prefix }: Options, command: Command): Config['credentials'] {
  if (config !== undefined) return load(config, { env: process.env }).config.credentials;
  if (prefix === undefined) command.error('write --config or --prefix: they say what is read');
  return conventionConfig(prefix).credentials;
}
