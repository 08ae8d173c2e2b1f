import { isUtf8 } from 'node:buffer';
import { EventFault } from './event-fault.ts';
import { type JsonObject, toOptionalText } from './json.ts';
import type { Field } from './message.ts';

/** A body as it stands in an event. @param plain whether it may stand there as text; what is no text never does */
export function writeBody(body: Buffer, plain: boolean) {
  const isBase64Encoded = !(plain && isUtf8(body));
  return { body: body.toString(isBase64Encoded ? 'base64' : 'utf8'), isBase64Encoded };
}

/** @throws EventFault */
export function readBody({ body, isBase64Encoded }: JsonObject): Buffer {
  const text = toOptionalText(body, 'body') ?? '';
  if (isBase64Encoded !== true) return Buffer.from(text, 'utf8');
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  if (isBase64) return Buffer.from(text, 'base64');
  throw new EventFault('body is not base64, and isBase64Encoded says so');
}

/** Whether AWS takes a body for text by its type. */
export function isTextType(headers: readonly Field[]): boolean {
  const value = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1];
  if (value('content-encoding') !== undefined) return false;
  return /^(?:text\/|application\/(?:json|xml|javascript)\s*(?:;|$))/i.test(
    value('content-type') ?? '',
  );
}
