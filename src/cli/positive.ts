import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError for what is no number above 0 */
export function parsePositive(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Write a number above 0.');
}
