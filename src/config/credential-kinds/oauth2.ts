import { anySecretRef } from '../secret-ref.ts';
import { choice, line, list, section } from '../shape.ts';
import { httpsUrl } from './https-url.ts';
import { kind, refAt } from './kind.ts';

/** Client credentials (RFC 6749 4.4). */
export const oauth2Kind = kind({
  schema: section({
    tokenUrl: httpsUrl,
    clientId: line,
    clientSecret: anySecretRef,
    scope: list(line).optional(),
    audience: line.optional(),
    authenticate: choice(['basic', 'body']).default('basic'),
  }),
  toKind({ tokenUrl, clientId, clientSecret, scope = [], audience, authenticate }, place) {
    return {
      kind: 'oauth2',
      tokenUrl: tokenUrl.href,
      clientId,
      clientSecret: refAt(clientSecret, place, 'clientSecret'),
      scope,
      audience,
      authenticate,
    };
  },
});
