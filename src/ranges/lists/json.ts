import type { z } from 'zod';
import { RangesError } from '../ranges-error.ts';

/** @throws RangesError `ranges-refused` when the text is torn or not of this shape */
export function readJson<Shape extends z.ZodType>(text: string, shape: Shape): z.output<Shape> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const message = 'it is no JSON: an error page, or a transfer that was cut off';
    throw new RangesError('ranges-refused', message, { cause: error });
  }
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.join('.') || 'its top';
  throw new RangesError('ranges-refused', `it is not of its provider's form at ${place}`);
}
