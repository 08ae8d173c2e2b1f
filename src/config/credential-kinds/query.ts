import { z } from 'zod';
import { secretText, toSecretText } from '../secret-text.ts';
import { says } from '../shape.ts';
import { kind } from './kind.ts';

export const queryKind = kind({
  schema: z.record(z.string().min(1), secretText).refine((map) => Object.keys(map).length > 0, {
    error: says('no parameter is named', 'name one: api_key'),
  }),
  toKind(written, { path, merged }) {
    const parameters = Object.entries(written).map(([name, text]) => ({
      name,
      value: toSecretText(text, [...path, name], merged),
    }));
    return { kind: 'query', parameters };
  },
});
