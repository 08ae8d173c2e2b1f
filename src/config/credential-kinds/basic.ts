import { basicCredential } from '../basic.ts';
import { kind, refAt } from './kind.ts';

export const basicKind = kind({
  schema: basicCredential,
  toKind({ username, password }, place) {
    return { kind: 'basic', username, password: refAt(password, place, 'password') };
  },
});
