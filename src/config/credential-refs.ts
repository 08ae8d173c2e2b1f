import type { AnySecretRef, CredentialKind, SecretRef, SecretText } from './config.ts';

/** Every secret that a credential is made of. */
export function credentialRefs(kind: CredentialKind): readonly AnySecretRef[] {
  switch (kind.kind) {
    case 'basic':
      return [kind.password];
    case 'header':
      return kind.headers.flatMap(({ value }) => refsIn(value));
    case 'query':
      return kind.parameters.flatMap(({ value }) => refsIn(value));
    case 'path':
      return refsIn(kind.text);
    case 'sigv4': {
      if (kind.identity === undefined) return [];
      const { accessKeyId, secretAccessKey, sessionToken } = kind.identity;
      return [accessKeyId, secretAccessKey, ...(sessionToken === undefined ? [] : [sessionToken])];
    }
    case 'oauth2':
      return [kind.clientSecret];
    case 'githubApp':
      return [kind.privateKey];
    case 'hmac':
      return [kind.secret];
    case 'parameterStore':
      return [];
  }
}

function refsIn(text: SecretText): AnySecretRef[] {
  return text.flatMap((part) => (typeof part === 'string' ? [] : [part]));
}

/** Whether a secret is read at start and stays what it is. */
export function isHeld(ref: AnySecretRef): ref is SecretRef {
  return ref.from === 'env' || ref.from === 'file' || ref.from === 'literal';
}
