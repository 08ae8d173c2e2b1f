import { alb, albMultiValue } from './alb.ts';
import { apiGatewayV1 } from './api-gateway-v1.ts';
import { apiGatewayV2 } from './api-gateway-v2.ts';
import { EventFault } from './event-fault.ts';
import { toObject } from './json.ts';
import type { EventFormat } from './message.ts';
import { signingProxy } from './signing-proxy.ts';

/** Every form of event, by its name; those that say plainly what they are come first. */
export const FORMATS = {
  'apigateway-v2': apiGatewayV2,
  'apigateway-v1': apiGatewayV1,
  alb,
  'alb-multi-value': albMultiValue,
  'signing-proxy': signingProxy,
} as const satisfies Record<string, EventFormat>;

export type FormatName = keyof typeof FORMATS;

/** The form of an event. @throws EventFault */
export function formatOf(event: unknown): EventFormat {
  const object = toObject(event, 'the event');
  const format = Object.values(FORMATS).find((one) => one.recognises(object));
  if (format !== undefined) return format;
  throw new EventFault('the event carries no HTTP request in a form that is known here');
}
