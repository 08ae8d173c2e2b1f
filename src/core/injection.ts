import type { Hostname } from './hostname.ts';
import type { Ip } from './ip.ts';

/** A request as it would go on without a credential. */
export interface InjectedRequest {
  readonly method: string;
  /** The one destination: what is dialled, verified by TLS, and stands in Host. */
  readonly host: Hostname | Ip;
  /** As it stands in Host: `api.github.com`, `api.example.com:8443`. */
  readonly authority: string;
  /** As sent, percent-encoded, without query. */
  readonly path: string;
  /** What stands behind the first `?`; undefined without one. */
  readonly query: string | undefined;
  /** Every header, in order: name as sent, value in latin1. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All of it, where the credential needs to see it before the head goes out. */
  readonly body: Buffer | undefined;
}

/** What a credential changes of a head. */
export interface HeadChanges {
  /** Each the only header of its name, whatever the client sent. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Names in lower case of what the client sent in its place, and must not go on. */
  readonly drop: readonly string[];
  /** Path and query, where they change. */
  readonly target?: string;
  /** What the body becomes on its way, at the same length. */
  readonly body?: BodyChange;
}

/** What a body becomes on its way: signed piece by piece, or without what must not come back. */
export interface BodyChange {
  /**
   * What can go on now; possibly nothing.
   *
   * @throws Refusal `request-invalid`, or of what comes back UpstreamError, for what cannot be read
   */
  push(piece: Buffer): Buffer;
  /** What was held back, once nothing follows. @throws Refusal `request-invalid` where something is missing */
  end(): Buffer;
}

/** Every value of a header, by its name in lower case. */
export function headerValues(request: InjectedRequest, lowerName: string): string[] {
  return request.headers.flatMap(([name, value]) =>
    name.toLowerCase() === lowerName ? [value] : [],
  );
}

/** Puts `*` in place of what must not come back. */
export interface Redaction {
  /** Of a text that is whole, in latin1. */
  text(value: string): string;
  stream(): BodyChange;
}

/** A credential that a rule wants on a request. */
export interface GrantedCredential {
  readonly name: string;
  /** How long a body may be that must be there before the head can be written; 0: it need not be. */
  readonly bodyLimit: number;
  /** Whether a response that cannot be read is refused. */
  readonly strict: boolean;
  /** The only CAs that vouch for the destination, in PEM; undefined: the system's. */
  readonly ca: string | undefined;
  /** @throws Refusal `credential-missing`, `credential-unavailable`, `request-invalid` */
  inject(request: InjectedRequest): Promise<Injected>;
}

export interface Injected {
  readonly changes: HeadChanges;
  readonly redaction: Redaction;
  /** The destination does not take it. @returns whether another one may be had now */
  refuse(): boolean;
}
