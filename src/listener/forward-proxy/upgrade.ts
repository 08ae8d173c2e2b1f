import type { Fields } from '../../wire/http1/fields.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';

/**
 * Whether a request asks to go on as a WebSocket (RFC 6455 4.1). The only upgrade that is passed on: `h2c` would carry
 * requests past the gateway that it never decided on.
 */
export function asksForWebSocket(head: RequestHead): boolean {
  return head.minor === 1 && head.method === 'GET' && namesWebSocket(head.fields);
}

/** Whether a request asks for a WebSocket, or a 101 grants one. */
export function namesWebSocket(fields: Fields): boolean {
  return (
    fields.value('upgrade')?.toLowerCase() === 'websocket' &&
    fields.list('connection').includes('upgrade')
  );
}
