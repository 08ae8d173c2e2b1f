import { Fault } from '../core/diagnostic.ts';
import type { SecretSource } from './source.ts';

export const envSource: SecretSource<'env'> = {
  describe: ({ variable }) => `env ${variable}`,
  read({ variable }, { env }) {
    const value = env[variable];
    if (value === undefined) {
      throw new Fault(
        `the secret env ${variable} is missing`,
        `set ${variable} in the environment`,
      );
    }
    // Node decodes the environment leniently; this is what it puts for bytes that are no text.
    if (value.includes('\ufffd')) {
      throw new Fault(`the secret env ${variable} is not UTF-8`, 'set it to plain text');
    }
    return value;
  },
};
