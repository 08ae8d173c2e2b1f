import { lineFormat } from './format.ts';

/** One network to a line: `acl x src "FILE"` of Squid, `acl x src -f FILE` of HAProxy, hosts of a set of Sekisho. */
export const plainFormat = lineFormat((network) => network.text, /^(\S+)$/);
