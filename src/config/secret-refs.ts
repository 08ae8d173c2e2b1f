import type { Config, SecretRef } from './config.ts';
import { credentialRefs, isHeld } from './credential-refs.ts';

/** Every secret that a configuration refers to and that is read at start, in its order. */
export function secretRefs({
  admin,
  principals,
  credentials,
  intercept,
  traces,
}: Config): SecretRef[] {
  const refs = admin.token === undefined ? [] : [admin.token];
  for (const { header, basic, bearer } of principals.flatMap(({ identify }) => identify)) {
    if (header !== undefined) refs.push(...header.values);
    if (basic !== undefined) refs.push(basic.password);
    if (bearer !== undefined) refs.push(bearer.token);
  }
  for (const { kind } of credentials) refs.push(...credentialRefs(kind).filter(isHeld));
  if (intercept.ca !== undefined) refs.push(intercept.ca.key);
  for (const value of traces.otlp?.headers.values() ?? []) {
    if (typeof value !== 'string') refs.push(value);
  }
  return refs;
}
