import { lineFormat } from './format.ts';

/** A map from networks to the target's name: `src,map_ip(FILE)`. */
export const haproxyFormat = lineFormat(
  (network, name) => `${network.text} ${name}`,
  /^(\S+) \S+$/,
);
