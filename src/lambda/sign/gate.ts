import { Recorder } from '../../audit/recorder.ts';
import type { ListenerConfig } from '../../config/config.ts';
import type { Grant } from '../../core/conversation.ts';
import { OwnPlaces } from '../../core/places.ts';
import type { Trouble } from '../../core/reasons.ts';
import { Refusal } from '../../core/refusal.ts';
import type { Credentials } from '../../credential/credentials.ts';
import { createOwnAddresses } from '../../destination/own-addresses.ts';
import { createResolver, type Resolver } from '../../destination/resolver.ts';
import { type Gate, type Permit, runExchange } from '../../exchange.ts';
import type { InForce } from '../../in-force.ts';
import type { ProxyContext } from '../../listener/forward-proxy/client.ts';
import { viaPseudonym } from '../../listener/forward-proxy/via.ts';
import type { Logger } from '../../log.ts';
import { permissionOf } from '../../permission.ts';
import type { Channel } from '../../stream/channel.ts';
import { UpstreamGrant } from '../../upstream/grants.ts';
import { HttpPool } from '../../upstream/pool.ts';
import { EventConversation } from './event-conversation.ts';

export interface GateOptions {
  readonly log: Logger;
  readonly credentials: Credentials;
  /** Where the record goes. */
  write(line: string): Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Of a function: Lambda itself limits how many events it is given at a time, and for how long. */
const LISTENER: ListenerConfig = {
  name: 'function',
  type: 'forward-proxy',
  bind: [],
  from: undefined,
  proxyProtocol: undefined,
  tls: undefined,
  timeouts: { headMs: 10_000, connectMs: 10_000, idleMs: 60_000 },
  limits: { connections: 1, perClient: 1, headBytes: 256 * 1024 },
  at: { file: 'function', line: 1, column: 1 },
};

/** What holds for one event. */
export interface EventTerms {
  /** Why the function does not give the answer that is there; undefined: it does. */
  judge(): Trouble | undefined;
  /** How long the function has. */
  readonly limitMs: number;
}

/** Nothing is waited for beyond the function's own time. */
function within(limitMs: number): ListenerConfig {
  const connectMs = Math.max(1, Math.min(limitMs, LISTENER.timeouts.connectMs));
  return { ...LISTENER, timeouts: { ...LISTENER.timeouts, connectMs } };
}

const METER = { passed() {}, exchangeEnded() {}, refusalSuppressed() {} };
const DIALS = { dialled() {}, tunnels() {}, now: () => performance.now() };

/** The path of an exchange within a function: all of a gateway but its listeners and what processes share. */
export class FunctionGate {
  readonly #options: GateOptions;
  readonly #resolver: Resolver;
  readonly #own = createOwnAddresses({ listeners: () => [] });
  /** A connection does not live through the time in which a function is frozen: none is kept. */
  readonly #pool = new HttpPool({ perKey: 0, total: 0, idleMs: 1 });
  #recorder: Recorder | undefined;
  readonly #unwritten = new Set<Promise<void>>();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#resolver = createResolver({ servers: [], now: options.now });
  }

  /** What a connection needs to know whose event is decided on by this policy. */
  contextFor(inForce: InForce, { judge, limitMs }: EventTerms): ProxyContext {
    const config = within(limitMs);
    const gate: Gate<Channel> = {
      recorder: this.#recorderFor(inForce),
      resolver: this.#resolver,
      own: this.#own,
      inForce: () => inForce,
      now: this.#options.now,
      fault: (error) => this.#options.log.error({ err: error }, 'a fault of the function itself'),
      grant: (permit) => this.#grant(permit, config),
    };
    return {
      config,
      places: new OwnPlaces(),
      via: viaPseudonym(inForce.config.gateway.name),
      schemes: () => inForce.identifier.schemes,
      leaving: () => false,
      run: (conversation) => runExchange(new EventConversation(conversation, judge), gate),
      ownPage: () => Promise.resolve(undefined),
    };
  }

  /** Resolves once nothing of the record is under way: what is written afterwards may never be. */
  async written(): Promise<void> {
    await Promise.allSettled(this.#unwritten);
  }

  #recorderFor({ config, digest }: InForce): Recorder {
    const settings = {
      policy: digest,
      owned: config.networks.owned,
      onFailure: config.audit.onFailure,
    };
    this.#recorder ??= new Recorder(
      {
        gateway: config.gateway.name,
        writer: { write: (line) => this.#write(line), adopt() {}, close: () => Promise.resolve() },
        recent: { add() {} },
        meter: METER,
        now: this.#options.now,
        elapsed: () => performance.now(),
        writers: 1,
      },
      settings,
    );
    this.#recorder.adopt(settings);
    return this.#recorder;
  }

  #write(line: string): Promise<void> {
    const written = this.#options.write(line).catch((error: Error) => {
      this.#options.log.error({ detail: error.message }, 'the record cannot be written');
      throw new Refusal('audit-unavailable', 'the record cannot be written');
    });
    this.#unwritten.add(written);
    const settled = () => this.#unwritten.delete(written);
    written.then(settled, settled);
    return written;
  }

  #grant(permit: Permit, { timeouts }: ListenerConfig): Grant<Channel> {
    const { record, decision, question, inForce } = permit;
    const { connectMs, idleMs } = timeouts;
    const config = inForce.credentials.get(decision.settings?.credential ?? '');
    // The policy was checked for this: without a credential the request would go out in clear.
    if (config === undefined) throw new TypeError('a decision without a credential');
    const credential = this.#options.credentials.grant(config, {
      destination: question.destination,
      held: inForce.secret,
      used: (use) => record.lent(use),
    });
    return new UpstreamGrant(
      // Requests come as events: nobody's TLS ends here, and no tunnel begins.
      permissionOf(permit, {
        credential,
        intercept: undefined,
        opened: () => () => {},
        read: () => () => {},
      }),
      {
        pool: this.#pool,
        exits: inForce.exits,
        parents: { resolver: this.#resolver, own: this.#own },
        connectMs,
        idleMs,
        meter: DIALS,
      },
    );
  }
}
