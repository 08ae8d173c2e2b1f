import { z } from 'zod';
import { quote } from '../../core/diagnostic.ts';
import { ALWAYS, says } from '../shape.ts';

/** What the gateway itself writes, or what frames the message: nothing of it is a credential's. */
const TAKEN = new Set(
  'connection content-length expect host keep-alive te trailer transfer-encoding upgrade via'.split(
    ' ',
  ),
);

function nameFault(name: string): string | undefined {
  // RFC 9110 5.6.2: token.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    return says(`${quote(name)} is not a header name`, 'write a name such as Authorization');
  }
  if (!TAKEN.has(name.toLowerCase()) && !/^proxy-/i.test(name)) return undefined;
  return says(`the gateway sets ${quote(name)} itself`, 'name another header');
}

/** A map from names of headers, with at least one entry. */
export function byHeader<Value extends z.ZodType>(value: Value) {
  return z.record(z.string(), value).superRefine((map, context) => {
    const names = Object.keys(map);
    if (names.length === 0) {
      const message = says('no header is named', 'name one: Authorization');
      context.addIssue({ code: 'custom', message });
    }
    for (const [i, name] of names.entries()) {
      const twice = names.slice(0, i).some((one) => one.toLowerCase() === name.toLowerCase());
      const message = twice
        ? says(`${quote(name)} is there twice`, 'keep one of the two')
        : nameFault(name);
      if (message === undefined) continue;
      context.addIssue({ code: 'custom', path: [name], message, params: { part: 'key' } });
    }
  }, ALWAYS);
}
