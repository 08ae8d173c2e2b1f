import { z } from 'zod';
import { anySecretRef } from '../secret-ref.ts';
import { says, section } from '../shape.ts';
import { httpsUrl } from './https-url.ts';
import { kind, refAt } from './kind.ts';

/** All digits, so that YAML takes it for a number. */
const id = z
  .union([z.string(), z.int()])
  .transform(String)
  .refine((text) => /^[1-9][0-9]{0,18}$/.test(text), {
    error: says('this is no id of GitHub', 'write its digits'),
  });

/** A token of an installation of an app, in place of a person's. */
export const githubAppKind = kind({
  schema: section({
    appId: id,
    installationId: id,
    privateKey: anySecretRef,
    api: httpsUrl.optional(),
  }),
  toKind({ appId, installationId, privateKey, api }, place) {
    return {
      kind: 'githubApp',
      appId,
      installationId,
      privateKey: refAt(privateKey, place, 'privateKey', 'multiline'),
      api: api?.href ?? 'https://api.github.com/',
    };
  },
});
