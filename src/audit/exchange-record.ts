import type { Connection, Outcome } from '../core/conversation.ts';
import { type Decision, deny } from '../core/decision.ts';
import { destinationText } from '../core/destination.ts';
import type { Ip } from '../core/ip.ts';
import type { Principal } from '../core/principal.ts';
import { Refusal, type UpstreamError } from '../core/refusal.ts';
import type { Step } from '../core/steps.ts';
import { type OnwardTrace, onwardTrace, type SpanPlace } from '../core/trace-context.ts';
import { classify } from '../core/traffic-class.ts';
import { decisionLine, encodeFacts, encodeStanding, outcomeLine } from './event.ts';
import type { Ledger, Recorded, RecordSettings, StepEnd } from './ledger.ts';

const NO_STEPS: readonly StepEnd[] = [];

type Dialled = Pick<Connection<unknown>, 'address' | 'parent'>;

/** A credential that a request took on. */
export interface Lent {
  readonly name: string;
  /** Of its secret, where the source has versions. */
  readonly version: string | undefined;
}

/** The record of one exchange: one or more decisions, of which the last stands, and exactly one outcome. */
export class ExchangeRecord {
  readonly id: string;
  readonly #conversation: Recorded;
  readonly #settings: RecordSettings;
  readonly #ledger: Ledger;
  readonly #began: number;
  readonly #span: SpanPlace | undefined;
  /** When the last step ended. */
  #passed: number;
  #steps: StepEnd[] | undefined;
  #principal: Principal | undefined;
  #decision: Decision | undefined;
  #address: Ip | undefined;
  #parent: Ip | undefined;
  #lent: Lent | undefined;
  #trouble: UpstreamError | undefined;
  /** Decided by the first decision; undefined before. */
  #written: boolean | undefined;
  #facts: string | undefined;
  #standing: string | undefined;
  #ended = false;

  constructor(id: string, conversation: Recorded, settings: RecordSettings, ledger: Ledger) {
    this.id = id;
    this.#conversation = conversation;
    this.#settings = settings;
    this.#ledger = ledger;
    this.#began = ledger.elapsed();
    this.#passed = this.#began;
    this.#span = ledger.place?.(conversation.traceparent ?? []);
  }

  /** What the exchange's request takes on in place of its trace context. */
  get trace(): OnwardTrace | undefined {
    return this.#span && onwardTrace(this.#span);
  }

  /** A step ends, which began where the one before it ended. */
  passed(step: Step): void {
    const now = this.#ledger.elapsed();
    this.#ledger.passed(step, now - this.#passed);
    this.#passed = now;
    if (this.#span?.sampled !== true) return;
    this.#steps ??= [];
    this.#steps.push({ step, atMs: now - this.#began });
  }

  get principal(): Principal | undefined {
    return this.#principal;
  }

  /** Before the first decision that knows of it. */
  identified(principal: Principal | undefined): void {
    this.#principal = principal;
    this.#facts = undefined;
  }

  /**
   * Resolves once the decision is on record, so that it may be acted upon; where `onFailure` is `allow`, also when it
   * could not be.
   *
   * @param address the address that will be dialled, once one was decided on
   * @throws Refusal `audit-unavailable`, which then is the decision that stands
   */
  decision(decision: Decision, address?: Ip): Promise<void> {
    if (this.#ended) return Promise.reject(this.#closed());
    this.#decision = decision;
    if (address !== undefined) this.#address = address;
    this.#standing = undefined;
    this.#written ??= this.#ledger.admits(decision, this.#principal, this.#conversation.client.ip);
    const facts = this.#encodedFacts();
    const standing = this.#encoded();
    return this.#put(decisionLine(this.id, this.#ledger.time(), facts, standing)).catch(
      this.#notWritten,
    );
  }

  readonly #notWritten = (error: unknown): void => {
    if (error instanceof Refusal && this.#settings.onFailure === 'allow') return;
    if (error instanceof Refusal) {
      const { stage } = this.#decision as Decision;
      this.#decision = deny(stage, error.reason, error.message);
      this.#standing = undefined;
    }
    throw error;
  };

  /** Where a connection leads, where several addresses were decided on, and through which address of a parent proxy. */
  dialled({ address, parent }: Dialled): void {
    if (sameAddress(address, this.#address) && sameAddress(parent?.address, this.#parent)) return;
    this.#address = address;
    this.#parent = parent?.address;
    this.#standing = undefined;
  }

  /** The request takes this on. */
  lent(credential: Lent): void {
    if (credential.name === this.#lent?.name && credential.version === this.#lent.version) return;
    this.#lent = credential;
    this.#standing = undefined;
  }

  /** What the outcome's error was; the client is told only its code. */
  trouble(error: UpstreamError): void {
    this.#trouble = error;
  }

  /** @throws TypeError when it was called before */
  outcome(outcome: Outcome): void {
    if (this.#ended) throw this.#closed();
    this.#ended = true;
    const tookMs = this.#ledger.elapsed() - this.#began;
    const durationMs = Math.round(tookMs * 10) / 10;
    const detail = this.#trouble?.message;
    const recorded = detail === undefined ? outcome : { ...outcome, detail };
    const facts = this.#encodedFacts();
    const standing = this.#encoded();
    void this.#put(
      outcomeLine(this.id, this.#ledger.time(), facts, standing, recorded, durationMs),
    );
    this.#ledger.ended({
      id: this.id,
      conversation: this.#conversation,
      principal: this.#principal,
      decision: this.#decision,
      address: this.#address,
      outcome,
      durationMs: tookMs,
      span: this.#span,
      steps: this.#steps ?? NO_STEPS,
    });
  }

  #put(line: string): Promise<void> {
    if (this.#written !== false) return this.#ledger.write(this.id, line);
    this.#ledger.remember(this.id, line);
    return Promise.resolve();
  }

  #closed(): TypeError {
    return new TypeError(`the outcome of exchange ${this.id} is on record already`);
  }

  #encodedFacts(): string {
    if (this.#facts !== undefined) return this.#facts;
    const { listener, client, peer, action, destination, request, protocol } = this.#conversation;
    this.#facts = encodeFacts({
      gateway: this.#ledger.gateway,
      listener,
      client: `${client.ip.bracketed}:${client.port}`,
      peer: peer.equals(client.ip) ? undefined : peer.text,
      principal: this.#principal?.name ?? null,
      identifiedBy: this.#principal?.method ?? null,
      action,
      path: request?.path,
      protocol,
      destination: destination instanceof Refusal ? null : destinationText(destination),
    });
    return this.#facts;
  }

  /** Nothing is put on a tunnel: the requests in it have records of their own. */
  get #wanted(): string | undefined {
    if (this.#conversation.request === undefined) return undefined;
    return this.#decision?.settings?.credential;
  }

  /** What goes to port 80 has no TLS that could be opened. */
  get #intercepted(): boolean {
    const { request, destination } = this.#conversation;
    if (request !== undefined || destination instanceof Refusal) return false;
    return this.#decision?.settings?.intercept === true && destination.port !== 80;
  }

  #encoded(): string {
    const client = this.#conversation.client.ip;
    const destination = this.#address ?? null;
    const parent = this.#decision?.settings?.parent;
    const lent = this.#lent?.name ?? this.#wanted;
    // Without a parent proxy the next hop is the destination itself.
    const way = this.#parent ?? (parent === undefined ? destination : null);
    this.#standing ??= encodeStanding({
      address: destination?.text ?? null,
      class: classify({ client, way, destination }, this.#settings.owned),
      decision: this.#decision,
      policy: this.#settings.policy,
      exit: this.#decision?.settings?.via ?? null,
      parent: parent && { name: parent.name, address: this.#parent?.text ?? null },
      credential: lent === undefined ? lent : { name: lent, version: this.#lent?.version ?? null },
      intercepted: this.#intercepted,
    });
    return this.#standing;
  }
}

function sameAddress(a: Ip | undefined, b: Ip | undefined): boolean {
  return a === b || a?.text === b?.text;
}
