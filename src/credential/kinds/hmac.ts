import { createHash, createHmac } from 'node:crypto';
import type { HmacCredential } from '../../config/config.ts';
import type { HeadChanges, InjectedRequest } from '../../core/injection.ts';
import type { Values } from '../values.ts';

const NOTHING = Buffer.alloc(0);

/** A signature over parts of the request, with its time. */
export function hmacChanges(
  { secret, algorithm, encoding, sign, headers }: HmacCredential,
  request: InjectedRequest,
  values: Values,
  now: number,
): HeadChanges {
  const timestamp = String(Math.floor(now / 1000));
  const hmac = createHmac(algorithm, values.of(secret));
  for (const piece of pieces(sign, request, timestamp)) hmac.update(piece);
  const known: Readonly<Record<string, string>> = { signature: hmac.digest(encoding), timestamp };
  return {
    set: headers.map(({ name, template }) => [
      name,
      template.replace(/\{(\w+)\}/g, (_, key: string) => known[key] as string),
    ]),
    drop: [],
  };
}

export function hmacNeedsBody({ sign }: HmacCredential): boolean {
  return sign.includes('{body}') || sign.includes('{bodyHash}');
}

/** What is signed, as bytes: a body need not be text. `\n` in a template is a line break. */
function pieces(template: string, request: InjectedRequest, timestamp: string): Buffer[] {
  const body = request.body ?? NOTHING;
  const known: Readonly<Record<string, () => string | Buffer>> = {
    method: () => request.method,
    host: () => request.authority,
    path: () => request.path,
    query: () => request.query ?? '',
    body: () => body,
    bodyHash: () => createHash('sha256').update(body).digest('hex'),
    timestamp: () => timestamp,
  };
  return template.split(/(\{\w+\})/).map((part) => {
    const value = known[part.slice(1, -1)];
    const text =
      part.startsWith('{') && value !== undefined ? value() : part.replaceAll('\\n', '\n');
    return typeof text === 'string' ? Buffer.from(text) : text;
  });
}
