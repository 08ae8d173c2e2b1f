import { createHash } from 'node:crypto';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { ResponseHead } from '../../wire/http1/response-head.ts';

/** Tells gateways apart in Via fields without telling upstreams their names. */
export function viaPseudonym(gateway: string): string {
  return `sekisho-${createHash('sha256').update(gateway).digest('hex').slice(0, 8)}`;
}

/** All that a request has passed, this gateway last. */
export function viaTrail(head: RequestHead, protocol: 'h2' | undefined, via: string): string {
  return [...head.fields.values('via'), viaEntry(head, protocol, via)].join(', ');
}

/** @param protocol what the message was received in, where that was not HTTP/1 */
export function viaEntry(
  { minor }: RequestHead | ResponseHead,
  protocol: 'h2' | undefined,
  via: string,
): string {
  return `${protocol === 'h2' ? '2.0' : `1.${minor}`} ${via}`;
}

/** Whether a request has already passed this gateway (RFC 9110 7.6.3). */
export function hasPassed(head: RequestHead, via: string): boolean {
  return (
    head.fields.has('via') && head.fields.list('via').some((entry) => entry.split(/\s+/)[1] === via)
  );
}
