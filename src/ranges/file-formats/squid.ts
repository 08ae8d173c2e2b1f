import { lineFormat } from './format.ts';

/** `acl` lines for `include`; the acl is named like the target. */
export const squidFormat = lineFormat(
  (network, name) => `acl ${name} src ${network.text}`,
  /^acl \S+ src (\S+)$/,
);
