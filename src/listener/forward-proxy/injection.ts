import type { Duplex } from 'node:stream';
import type { Grant, Unmasked } from '../../core/conversation.ts';
import { deny } from '../../core/decision.ts';
import { overTls } from '../../core/destination.ts';
import type {
  BodyChange,
  GrantedCredential,
  Injected,
  InjectedRequest,
} from '../../core/injection.ts';
import { Refusal, UpstreamError } from '../../core/refusal.ts';
import { type Channel, ChannelLost } from '../../stream/channel.ts';
import { canDecode, decoderFor } from '../../stream/decoded-bodies.ts';
import { FramingError } from '../../wire/http1/framing-error.ts';
import type { RequestHead } from '../../wire/http1/request-head.ts';
import type { ResponseHead } from '../../wire/http1/response-head.ts';
import { authorityOf, dropsFrom } from './forwarded-head.ts';
import { dashed, EXTENSIONS, isLeft } from './left-fields.ts';
import { MaskedMessages } from './masked-messages.ts';
import type { RequestBody } from './request-body.ts';
import type { Target } from './target.ts';
import { asksForWebSocket } from './upgrade.ts';

type InjectionGrant = Pick<Grant<Channel>, 'identityHeaders' | 'trace' | 'record'>;

/** A request before anything of it went on. */
export interface Injectable {
  readonly head: RequestHead;
  readonly target: Target;
  readonly body: RequestBody;
  /** The client's. */
  readonly channel: Channel;
  readonly idleMs: number;
}

/** A credential on the request of one exchange, and what must not come back of it. */
export class Injection {
  readonly #credential: GrantedCredential;
  readonly #request: InjectedRequest;
  #injected: Injected;
  /** Of the headers that the credential sets. */
  #names: ReadonlySet<string>;

  private constructor(credential: GrantedCredential, request: InjectedRequest, injected: Injected) {
    this.#credential = credential;
    this.#request = request;
    this.#injected = injected;
    this.#names = namesOf(injected);
  }

  /**
   * @throws Refusal `request-invalid`, `credential-missing`, `credential-unavailable`, which then is on record; UpstreamError
   *   where the client is gone
   */
  static async begin(
    credential: GrantedCredential,
    grant: InjectionGrant,
    request: Injectable,
  ): Promise<Injection> {
    try {
      const view = await viewOf(grant, credential, request);
      return new Injection(credential, view, await credential.inject(view));
    } catch (error) {
      const told = asRefusal(error);
      if (told instanceof Refusal) await grant.record(deny('grant', told.reason, told.message));
      throw told;
    }
  }

  get changes() {
    return this.#injected.changes;
  }

  /** Whether a header or trailer of the client's does not go on. */
  drops(lowerName: string): boolean {
    const isOurs = this.#names.has(dashed(lowerName)) || this.changes.drop.includes(lowerName);
    return isOurs || isLeft(lowerName, this.#credential);
  }

  /** The destination answers that the credential does not hold. @returns whether another one may be had now */
  refused(): boolean {
    return this.#injected.refuse();
  }

  /** @returns whether another one is in its place now */
  async renew(): Promise<boolean> {
    try {
      this.#injected = await this.#credential.inject(this.#request);
      this.#names = namesOf(this.#injected);
      return true;
    } catch (error) {
      // There is no other one now, which is told in the log; the destination's answer is as good as any.
      if (error instanceof Refusal) return false;
      throw error;
    }
  }

  /** A head that goes to the client. Its length stays as it is. */
  redact(head: Buffer): Buffer {
    return Buffer.from(this.#injected.redaction.text(head.toString('latin1')), 'latin1');
  }

  redaction() {
    return this.#injected.redaction.stream();
  }

  /** What the server of a WebSocket sends. */
  messages(): BodyChange {
    return new MaskedMessages(this.#injected.redaction);
  }

  /** @throws UpstreamError for a 101 after which nothing could be read */
  vetUpgrade({ fields }: ResponseHead): void {
    if (!fields.has(EXTENSIONS)) return;
    throw new UpstreamError('upstream-reset', 'an extension of WebSocket that nobody asked for');
  }

  /**
   * What makes the body of a response readable; undefined where it is, or where nobody here can.
   *
   * @throws UpstreamError where it cannot be read and must be
   */
  decoder(response: ResponseHead): Duplex | undefined {
    const unmasked = this.unmasked(response);
    if (unmasked !== undefined && this.#credential.strict) throw unreadable(unmasked);
    const codings = codingsOf(response);
    return codings.length === 0 || unmasked === 'coding' ? undefined : decoderFor(codings);
  }

  /** Why a response cannot be looked at whole; undefined: it can. */
  unmasked(response: ResponseHead): Unmasked | undefined {
    const isPart = response.status === 206;
    const codings = codingsOf(response);
    // A part of a coded body is nothing that could be decoded.
    if (codings.length > 0 && (isPart || !canDecode(codings))) return 'coding';
    // gRPC compresses each of its messages by itself, which nobody here undoes.
    if (response.fields.list('grpc-encoding').some((name) => name !== 'identity')) return 'coding';
    return isPart ? 'part' : undefined;
  }
}

function codingsOf({ fields }: ResponseHead): string[] {
  return fields.list('content-encoding').filter((name) => name !== 'identity');
}

function unreadable(unmasked: Unmasked): UpstreamError {
  const what = unmasked === 'part' ? 'is a part of a body' : 'has a coding that cannot be undone';
  return new UpstreamError('upstream-reset', `the response ${what}`);
}

function namesOf({ changes }: Injected): ReadonlySet<string> {
  return new Set(changes.set.map(([name]) => dashed(name.toLowerCase())));
}

/** What would come back as it was sent, is about no path, or could not be looked at. @throws Refusal */
function vet(head: RequestHead, { originForm }: Target, { strict }: GrantedCredential): void {
  const { method } = head;
  if (/^(?:trace|track)$/i.test(method)) {
    throw new Refusal('request-invalid', `${method.toUpperCase()} would send the credential back`);
  }
  if (originForm === '*') {
    throw new Refusal('request-invalid', 'a credential is for a path, and "*" is none');
  }
  // Like the parts of a body: over many messages a secret could be had piece by piece.
  if (strict && asksForWebSocket(head)) {
    throw new Refusal('request-invalid', 'a WebSocket takes on no credential that is strict');
  }
}

/** The request as it would go on, with its body where the credential needs that. */
async function viewOf(
  grant: InjectionGrant,
  credential: GrantedCredential,
  { head, target, body, channel, idleMs }: Injectable,
): Promise<InjectedRequest> {
  vet(head, target, credential);
  // The body is not yet on its way: nothing else limits how long the client takes for it.
  channel.limitIdle(idleMs);
  const { bodyLimit } = credential;
  const gathered = bodyLimit > 0 ? await body.gather(bodyLimit) : undefined;
  channel.limitIdle(0);
  const destination = overTls(target.destination);
  const drops = dropsFrom(head, grant);
  const { fields } = head;
  const headers = Array.from({ length: fields.count }, (_, i) => {
    return [fields.name(i), fields.valueAt(i)] as const;
  }).filter(([name]) => !drops(name.toLowerCase()) && !isLeft(name.toLowerCase(), credential));
  const question = target.originForm.indexOf('?');
  return {
    method: head.method,
    host: destination.host,
    authority: authorityOf(destination),
    path: question < 0 ? target.originForm : target.originForm.slice(0, question),
    query: question < 0 ? undefined : target.originForm.slice(question + 1),
    headers,
    body: gathered,
  };
}

function asRefusal(error: unknown): unknown {
  // A client that leaves within its body sends a FIN more often than a reset.
  if (error instanceof ChannelLost || (error instanceof FramingError && error.code === 'cut')) {
    return new UpstreamError('client-reset', 'the client left within its body');
  }
  return error instanceof FramingError ? new Refusal('request-invalid', error.message) : error;
}
