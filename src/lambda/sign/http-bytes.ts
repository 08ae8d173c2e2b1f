import { Refusal } from '../../core/refusal.ts';
import { HeadReader } from '../../wire/http1/head-reader.ts';
import { parseResponseHead, type ResponseHead } from '../../wire/http1/response-head.ts';
import type { EventAnswer, EventRequest, Field } from '../../wire/lambda-events/message.ts';

/** What tells of a connection that there is none of here, and what is told anew. */
const OF_THE_CONNECTION =
  /^(?:connection|content-length|expect|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$/i;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Whatever would end a line. Everything else is judged where the bytes are read. */
const LINE_END = /[\r\n\0]/;

/**
 * A request as a client would send it. HTTP/1.0, so that the answer is one head and one body without chunks.
 *
 * @throws Refusal `request-invalid` where something in it would be read as something else
 */
export function toBytes({ method, path, query, headers, body }: EventRequest): Buffer {
  if (!TOKEN.test(method)) throw new Refusal('request-invalid', 'the method is not a token');
  const target = query === undefined ? path : `${path}?${query}`;
  if (/[^\x21-\x7e]/.test(target)) {
    throw new Refusal('request-invalid', 'the path has a character that no request target has');
  }
  const named = headers.filter(([name]) => !OF_THE_CONNECTION.test(name));
  const dropped = new Set(
    headers
      .filter(([name]) => name.toLowerCase() === 'connection')
      .flatMap(([, value]) =>
        value
          .toLowerCase()
          .split(',')
          .map((one) => one.trim()),
      ),
  );
  const lines = [`${method} ${target} HTTP/1.0`];
  for (const [name, value] of named) {
    if (!TOKEN.test(name) || LINE_END.test(value)) {
      throw new Refusal(
        'request-invalid',
        'a header has a line break, or a name that is not a token',
      );
    }
    if (!dropped.has(name.toLowerCase())) lines.push(`${name}: ${value}`);
  }
  if (body.length > 0) lines.push(`Content-Length: ${body.length}`);
  const head = `${lines.join('\r\n')}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, /[^\x00-\xff]/.test(head) ? 'utf8' : 'latin1'), body]);
}

/** @param method of the request: the answer to a HEAD tells a length that it has not */
export function fromBytes(bytes: Buffer, method: string): EventAnswer {
  const reader = new HeadReader<ResponseHead>(parseResponseHead, {
    bytes: bytes.length,
    fields: Number.POSITIVE_INFINITY,
  });
  const head = reader.push(bytes);
  if (head === undefined) throw new TypeError('an answer without a whole head');
  const { fields, status } = head;
  const headers = Array.from(
    { length: fields.count },
    (_, i): Field => [fields.name(i), fields.valueAt(i)],
  );
  const isKept = ([name]: Field) =>
    !OF_THE_CONNECTION.test(name) || (method === 'HEAD' && /^content-length$/i.test(name));
  return { status, headers: headers.filter(isKept), body: Buffer.from(reader.rest) };
}
