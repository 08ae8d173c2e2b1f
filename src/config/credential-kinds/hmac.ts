import { Fault, quote } from '../../core/diagnostic.ts';
import { anySecretRef } from '../secret-ref.ts';
import { choice, parsed, section } from '../shape.ts';
import { size } from '../units.ts';
import { byHeader } from './header-names.ts';
import { kind, refAt } from './kind.ts';

const OF_REQUEST = ['method', 'host', 'path', 'query', 'body', 'bodyHash', 'timestamp'];

/** A text in which `{name}` stands for a part of the request. @throws Fault */
function parseTemplate(text: string, known: readonly string[]): string {
  for (const [all, name = ''] of text.matchAll(/\{([^{}]*)\}/g)) {
    if (known.includes(name)) continue;
    const names = known.map((one) => `{${one}}`).join(', ');
    throw new Fault(`${quote(all)} stands for nothing`, `known here: ${names}`);
  }
  return text;
}

const signed = parsed((text) => parseTemplate(text, OF_REQUEST), 'What is signed.');
const shown = parsed((text) => parseTemplate(text, ['signature', 'timestamp']));

/** A signature over the request with a key that both sides have. */
export const hmacKind = kind({
  schema: section({
    secret: anySecretRef,
    algorithm: choice(['sha256', 'sha512', 'sha1']).default('sha256'),
    encoding: choice(['hex', 'base64']).default('hex'),
    sign: signed,
    header: byHeader(shown),
    maxBody: size.prefault('1MiB'),
  }),
  toKind({ secret, algorithm, encoding, sign, header, maxBody }, place) {
    return {
      kind: 'hmac',
      secret: refAt(secret, place, 'secret'),
      algorithm,
      encoding,
      sign,
      headers: Object.entries(header).map(([name, template]) => ({ name, template })),
      maxBodyBytes: maxBody,
    };
  },
});
