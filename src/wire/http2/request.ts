import { FramingError } from '../http1/framing-error.ts';
import type { RequestHead } from '../http1/request-head.ts';
import {
  addFields,
  type FieldMap,
  fieldLines,
  fieldMap,
  pseudoFields,
  type RawFields,
} from './fields.ts';

// RFC 3986 3.2: no delimiter that would end the authority, and no userinfo.
const AUTHORITY = /^[A-Za-z0-9._~!$&'()*+,;=:[\]%-]+$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PATH = /^\/[\x21-\x7e]*$/;
const PSEUDO = [':method', ':scheme', ':authority', ':path'];

/**
 * The head of a request as HTTP/1.1 has it (RFC 9113 8.3.1). With `:authority` its target is in absolute form, so that
 * Host is held against it like everywhere else.
 *
 * @param ended whether nothing follows the head
 * @throws FramingError for what is not plainly valid
 */
export function requestBytes(raw: RawFields, ended: boolean): Buffer {
  const pseudo = pseudoFields(raw, PSEUDO);
  const method = pseudo.get(':method') ?? '';
  if (!METHOD.test(method)) throw invalid('the method is not a token');
  if (method === 'CONNECT') throw invalid('a CONNECT inside a tunnel');
  if (pseudo.get(':scheme') !== 'https') throw invalid('the scheme is not https');
  const authority = pseudo.get(':authority');
  const target = targetOf(method, authority, pseudo.get(':path') ?? '');
  const lines = fieldLines(raw);
  const host = authority === undefined || /^host:/m.test(lines) ? '' : `host: ${authority}\r\n`;
  const hop = /^te:/m.test(lines) ? 'connection: te\r\n' : '';
  const length = /^content-length:/m.test(lines);
  if (ended && length && !/^content-length: *0+ *\r$/m.test(lines)) {
    throw new FramingError('content-length', 'a length is declared, and nothing follows');
  }
  const framing = ended || length ? '' : 'transfer-encoding: chunked\r\n';
  const head = `${method} ${target} HTTP/1.1\r\n${host}${lines}${hop}${framing}\r\n`;
  return Buffer.from(head, 'latin1');
}

function targetOf(method: string, authority: string | undefined, path: string): string {
  const asterisk = path === '*' && method === 'OPTIONS';
  if (!asterisk && !PATH.test(path)) throw invalid('the path does not begin with a slash');
  if (authority === undefined) return path;
  if (!AUTHORITY.test(authority)) throw invalid('the authority is none');
  return asterisk ? `https://${authority}` : `https://${authority}${path}`;
}

/** The head of a request that HTTP/1.1 has in origin form. */
export function requestFields(head: RequestHead): FieldMap {
  const map = fieldMap();
  map[':method'] = head.method;
  map[':scheme'] = 'https';
  map[':authority'] = head.fields.value('host') ?? '';
  map[':path'] = head.target;
  addFields(map, head.fields);
  delete map.host;
  return map;
}

function invalid(message: string): FramingError {
  return new FramingError('start-line', message);
}
