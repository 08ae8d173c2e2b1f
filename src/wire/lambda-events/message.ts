import type { JsonObject } from './json.ts';

/** A header as it is sent: a name may stand in several of them. */
export type Field = readonly [name: string, value: string];

/** An HTTP request, whatever event it came in. */
export interface EventRequest {
  readonly method: string;
  /** Percent-encoded, without query. */
  readonly path: string;
  /** What stands behind the first `?`, percent-encoded; undefined without one. */
  readonly query: string | undefined;
  readonly headers: readonly Field[];
  readonly body: Buffer;
  /** The address that it came from, as whoever made the event tells it; undefined where it tells none. */
  readonly client: string | undefined;
}

export interface EventAnswer {
  readonly status: number;
  readonly headers: readonly Field[];
  readonly body: Buffer;
}

/** What an event says besides the request. */
export interface EventPlace {
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly region: string;
  readonly account: string;
}

/** One form of event that carries an HTTP request to a function, and of the value that the function answers with. */
export interface EventFormat {
  readonly name: string;
  /** Whether an event is of this form. */
  recognises(event: JsonObject): boolean;
  /** @throws EventFault */
  readRequest(event: JsonObject): EventRequest;
  writeRequest(request: EventRequest, place: EventPlace): JsonObject;
  /** @throws EventFault where AWS would answer 502 */
  readAnswer(response: unknown): EventAnswer;
  writeAnswer(answer: EventAnswer): JsonObject;
}
