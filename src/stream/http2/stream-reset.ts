import { SekishoError } from '../../core/errors.ts';

/** RFC 9113 8.7: nothing was done with the request, so that any may be sent again. */
const REFUSED_STREAM = 7;
/** RFC 9113 7. */
const HTTP_1_1_REQUIRED = 13;

/** A stream that its peer reset, or that ended with its session. */
export class StreamReset extends SekishoError {
  /** Whether the peer says that it has done nothing with the request. */
  readonly isUnprocessed: boolean;
  /** Whether the peer wants to be asked by HTTP/1.1. */
  readonly needsHttp1: boolean;

  constructor(code: number) {
    super('stream-reset', `the HTTP/2 stream was reset with code ${code}`);
    this.name = 'StreamReset';
    this.isUnprocessed = code === REFUSED_STREAM;
    this.needsHttp1 = code === HTTP_1_1_REQUIRED;
  }
}
