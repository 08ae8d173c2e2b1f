import { secretText, toSecretText } from '../secret-text.ts';
import { says } from '../shape.ts';
import { kind } from './kind.ts';

const PLAIN = /^[\x21\x22\x24-\x3e\x40-\x7e]*$/;

/** A path with a secret in it; `{path}` stands for the request's own. */
export const pathKind = kind({
  schema: secretText
    .refine(([first]) => typeof first === 'string' && /^\/(?!\/)/.test(first), {
      error: says('this is not a path', 'begin with "/": ["/bot", { env: TOKEN }, "{path}"]'),
    })
    .refine((parts) => parts.every((part) => typeof part !== 'string' || PLAIN.test(part)), {
      error: says('a path holds no blanks, "?" or "#"', 'write it as it is sent, percent-encoded'),
    }),
  toKind(written, { path, merged }) {
    return { kind: 'path', text: toSecretText(written, path, merged) };
  },
});
