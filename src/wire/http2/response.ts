import { FramingError } from '../http1/framing-error.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import {
  addFields,
  type FieldMap,
  fieldLines,
  fieldMap,
  pseudoFields,
  type RawFields,
} from './fields.ts';

const PSEUDO = [':status'];

/** A response's head as HTTP/1.1 has it, and whether its body comes in chunks. */
export interface ResponseBytes {
  readonly status: number;
  readonly bytes: Buffer;
  readonly chunked: boolean;
}

/**
 * @param method of the request that it answers
 * @throws FramingError for what is not plainly valid
 */
export function responseBytes(raw: RawFields, method: string): ResponseBytes {
  const text = pseudoFields(raw, PSEUDO).get(':status') ?? '';
  // RFC 9113 8.6: there is no 101.
  if (!/^[1-9][0-9][0-9]$/.test(text) || text === '101') {
    throw new FramingError('start-line', 'the status is not a number of three digits');
  }
  const status = Number(text);
  const lines = fieldLines(raw);
  const bodiless = status < 200 || status === 204 || status === 304 || method === 'HEAD';
  const chunked = !bodiless && !/^content-length:/m.test(lines);
  const framing = chunked ? 'transfer-encoding: chunked\r\n' : '';
  const bytes = Buffer.from(`HTTP/1.1 ${status} \r\n${lines}${framing}\r\n`, 'latin1');
  return { status, bytes, chunked };
}

export function responseFields(head: ResponseHead): FieldMap {
  const map = fieldMap();
  map[':status'] = String(head.status);
  return addFields(map, head.fields);
}
