import { secretText, toSecretText } from '../secret-text.ts';
import { says } from '../shape.ts';
import { kind } from './kind.ts';

/** A path with a secret in it; `{path}` stands for the request's own. */
export const pathKind = kind({
  schema: secretText.refine(([first]) => typeof first === 'string' && /^\/(?!\/)/.test(first), {
    error: says('this is not a path', 'begin with "/": ["/bot", { env: TOKEN }, "{path}"]'),
  }),
  toKind(written, { path, merged }) {
    return { kind: 'path', text: toSecretText(written, path, merged) };
  },
});
