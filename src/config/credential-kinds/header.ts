import { secretText, toSecretText } from '../secret-text.ts';
import { byHeader } from './header-names.ts';
import { kind } from './kind.ts';

export const headerKind = kind({
  schema: byHeader(secretText),
  toKind(written, { path, merged }) {
    const headers = Object.entries(written).map(([name, text]) => ({
      name,
      value: toSecretText(text, [...path, name], merged),
    }));
    return { kind: 'header', headers };
  },
});
