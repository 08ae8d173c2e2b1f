/**
 * The base of every error that Sekisho raises on purpose.
 *
 * `code` is stable and meant for programs; `message` is one sentence for a person and says what to do.
 */
export class SekishoError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SekishoError';
    this.code = code;
  }
}
