import { SekishoError } from '../../core/errors.ts';

/** What can be wrong with the framing of a message. Stable: it goes to metrics and to the record. */
export type FramingCode =
  | 'start-line'
  | 'version'
  | 'field-name'
  | 'field-value'
  | 'obs-fold'
  | 'bare-lf'
  | 'bare-cr'
  | 'head-too-large'
  | 'too-many-fields'
  | 'content-length'
  | 'transfer-encoding'
  | 'chunk-size'
  | 'chunk-end'
  | 'chunk-extension'
  | 'chunk-extension-too-long'
  | 'trailer-field'
  | 'trailers-too-large'
  | 'cut';

/**
 * Bytes that are not plainly valid HTTP/1.1 (RFC 9112). Where they end cannot be told, so the connection that they came
 * on is of no further use. The message is one clause and repeats none of the bytes.
 */
export class FramingError extends SekishoError {
  declare readonly code: FramingCode;

  constructor(code: FramingCode, message: string) {
    super(code, message);
    this.name = 'FramingError';
  }
}
