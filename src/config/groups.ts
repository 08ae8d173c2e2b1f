import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import { type Names, RESERVED } from './names.ts';
import { named, parsed } from './shape.ts';

/** A principal, another group, or a glob over principals. @throws Fault */
function parseMember(text: string, names: Names): string {
  if (RESERVED.has(text)) {
    throw new Fault(
      `a group cannot hold ${quote(text)}`,
      `write ${quote(text)} in the rule instead`,
    );
  }
  if (!text.includes('*')) return names.usePrincipal(text);
  if (names.complete && names.principalsLike(text).length === 0) {
    throw new Fault(`${quote(text)} matches no principal`, 'correct it or remove it');
  }
  return text;
}

export function groupsSchema(names: Names) {
  return named(z.array(parsed((text) => parseMember(text, names)))).prefault({});
}
