import { lineFormat } from './format.ts';

/** `allow` lines for `include`; what must not pass is denied behind it. */
export const nginxFormat = lineFormat((network) => `allow ${network.text};`, /^allow (\S+);$/);
