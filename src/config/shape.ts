import { z } from 'zod';
import { Fault } from '../core/diagnostic.ts';

/**
 * The building blocks of every section's schema. Zod carries one string per issue, so a message and its remedy travel as
 * two lines of it; `explain.ts` takes them apart again.
 */
export function says(message: string, remedy: string): string {
  return `${message}\n${remedy}`;
}

/** A map with fixed keys. An issue about unknown keys lists the known ones, for a hint. */
export function section<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  wrongType?: readonly [message: string, remedy: string],
) {
  const known = Object.keys(shape).join(' ');
  return z.strictObject(shape, {
    error: ({ code }) => {
      if (code === 'unrecognized_keys') return known;
      return wrongType === undefined ? undefined : says(...wrongType);
    },
  });
}

/** For a check that speaks of several keys: it runs beside the faults of single ones. */
export const ALWAYS = {
  when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null,
};

/** One line of text. */
export const line = z.string().transform((text, context) => {
  if (text.trim() !== '' && !/[\p{Cc}\u2028\u2029]/u.test(text)) return text;
  context.issues.push({
    code: 'custom',
    input: text,
    message: says(
      'this must be one line of text',
      'remove control characters, and leave it not empty',
    ),
  });
  return z.NEVER;
});

/** Text that a function makes a value of; the `Fault` it throws becomes the issue. */
export function parsed<Value>(parse: (text: string) => Value, description?: string) {
  const attempt = (text: string) => {
    try {
      return { value: parse(text) };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return { fault: says(error.message, error.remedy) };
    }
  };
  // A number where `5s` is meant lacks its unit, not its quotes.
  const text = z.string({
    error: ({ input }) => (typeof input === 'number' ? attempt(String(input)).fault : undefined),
  });
  const schema = text.transform((written, context): Value => {
    const result = attempt(written);
    if (result.fault === undefined) return result.value;
    context.issues.push({ code: 'custom', input: written, message: result.fault });
    return z.NEVER;
  });
  return description === undefined ? schema : schema.meta({ description });
}

/** A list that must say something: an empty one is a mistake, not a wish. */
export function list<Item extends z.ZodType>(item: Item) {
  const empty = says('this list is empty', 'give it an entry, or remove the key');
  return z.array(item).min(1, { error: empty });
}

/** One item, or a list of them. */
export function oneOrMore<Item extends z.ZodType>(item: Item) {
  return z.union([list(item), item]).transform((value) => (Array.isArray(value) ? value : [value]));
}

/** A map from names that the author chooses. The names are checked where files are merged. */
export function named<Item extends z.ZodType>(item: Item) {
  return z.record(z.string(), item);
}

/** One of several words. `later` are words of the language that this version does not enforce. */
export function choice<const Words extends readonly string[]>(
  words: Words,
  later: readonly string[] = [],
) {
  return z.enum(words, {
    error: ({ input }) => {
      if (typeof input !== 'string') return undefined;
      if (later.includes(input)) return notYetText(input);
      return says(`${JSON.stringify(input)} is none of its values`, `write ${words.join(' or ')}`);
    },
  });
}

/** A key of the language that this version does not enforce: closed by default, so its presence is a fault. */
export function notYet(key: string) {
  return z
    .never({ error: notYetText(key) })
    .optional()
    .meta({ description: 'Not enforced yet.' });
}

export function notYetText(what: string): string {
  return says(
    `this version does not enforce ${JSON.stringify(what)} yet and therefore refuses it`,
    'remove it',
  );
}
