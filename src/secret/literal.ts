import { positionText } from '../core/diagnostic.ts';
import type { SecretSource } from './source.ts';

export const literalSource: SecretSource<'literal'> = {
  describe: ({ at }) => `literal at ${positionText(at)}`,
  read: ({ value }) => value,
};
