import type { Position, SecretRef } from './config.ts';

/** A secret that stands in the configuration. What prints a configuration by accident does not print the value of this. */
export function literalRef(value: string, at: Position): SecretRef {
  const ref = { from: 'literal', value, at } as const;
  return Object.defineProperty(ref, 'value', { enumerable: false });
}
