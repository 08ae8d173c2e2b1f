import { Command } from 'commander';
import { jsonSchema } from '../config/schema.ts';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of the configuration, for editors')
    .addHelpText(
      'after',
      `
Example:
  sekisho schema > sekisho.schema.json

and as the first line of sekisho.yaml:
  # yaml-language-server: $schema=./sekisho.schema.json
`,
    )
    .action(() => {
      process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    });
}
