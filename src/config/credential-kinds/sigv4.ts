import { anySecretRef } from '../secret-ref.ts';
import { line, section } from '../shape.ts';
import { size } from '../units.ts';
import { kind, type Place, refAt } from './kind.ts';

export const sigv4Kind = kind({
  schema: section({
    service: line,
    region: line,
    identity: section({
      accessKeyId: anySecretRef,
      secretAccessKey: anySecretRef,
      sessionToken: anySecretRef.optional(),
    }).optional(),
    maxBody: size.prefault('1MiB'),
  }),
  toKind({ service, region, identity, maxBody }, place) {
    const below: Place = { ...place, path: [...place.path, 'identity'] };
    return {
      kind: 'sigv4',
      service,
      region,
      maxBodyBytes: maxBody,
      identity: identity && {
        accessKeyId: refAt(identity.accessKeyId, below, 'accessKeyId'),
        secretAccessKey: refAt(identity.secretAccessKey, below, 'secretAccessKey'),
        sessionToken: identity.sessionToken && refAt(identity.sessionToken, below, 'sessionToken'),
      },
    };
  },
});
