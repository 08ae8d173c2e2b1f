import type { SecureContext } from 'node:tls';
import type { ParentProxyConfig } from '../config/config.ts';
import type { AbsoluteForm } from '../core/conversation.ts';
import { hostText } from '../core/destination.ts';
import { Hostname } from '../core/hostname.ts';
import { UpstreamError } from '../core/refusal.ts';
import { Channel } from '../stream/channel.ts';
import { nodeSocket } from '../tcp/native-socket.ts';
import { commonTrust, startTls, trust } from './client-tls.ts';
import { connectHead, NoTunnel, requestTunnel } from './connect-request.ts';
import { dial } from './dial.ts';
import { type ParentCredential, proxyAuthorization } from './parent-credential.ts';
import type { Aim, Dialled, DialTerms, WayOut } from './way-out.ts';

type Head = Parameters<AbsoluteForm['authorize']>[0];

/** Addresses of one destination that the parent is asked for, each on a connection of its own. */
const MOST_ASKED = 4;

/**
 * Through the next proxy of a chain, which is asked for the address that was decided on, or for the name where it is the
 * one that resolves:
 *
 *     client              gateway                           parent              destination
 *       |--- what it asks -->| decided                         |                     |
 *       |                    |--- TCP, TLS for https:// ------>|                     |
 *       |                    |--- CONNECT 192.0.2.7:443 ------>|--- TCP ------------>|  resolve: local
 *       |                    |--- CONNECT name:443 ----------->|--- TCP ------------>|  resolve: parent, tunnels
 *       |                    |--- GET http://name/ ----------->|--- GET / ---------->|  resolve: parent, plain HTTP
 */
export class ParentProxy implements WayOut {
  readonly id: string;
  readonly #parent: ParentProxyConfig;
  readonly #credential: ParentCredential | undefined;
  readonly #context: SecureContext | undefined;

  constructor(id: string, parent: ParentProxyConfig, credential: ParentCredential | undefined) {
    const { tls } = parent;
    this.id = id;
    this.#parent = parent;
    this.#credential = credential;
    this.#context = tls && (tls.ca === undefined ? commonTrust() : trust(tls.ca));
  }

  /** Addresses are asked for one after the other, each with its share of the time that is left. */
  async dial({ destination, addresses }: Aim, terms: DialTerms): Promise<Dialled> {
    const targets = addresses.length === 0 ? [undefined] : addresses.slice(0, MOST_ASKED);
    const deadline = performance.now() + terms.timeoutMs;
    const failures: string[] = [];
    let error: unknown;
    for (const [i, address] of targets.entries()) {
      const authority = `${hostText(address ?? destination.host)}:${destination.port}`;
      const timeoutMs = (deadline - performance.now()) / (targets.length - i);
      try {
        return { address, ...(await this.#tunnel(authority, { ...terms, timeoutMs })) };
      } catch (caught) {
        error = caught;
        const { message } = caught as Error;
        const wasAsked = caught instanceof NoTunnel;
        failures.push(wasAsked ? `asked for ${authority}, ${message}` : message);
        if (!wasAsked || caught.isFinal) break;
      }
    }
    throw this.#trouble(error, failures.join('; '));
  }

  /** Addresses that were decided on are kept to; else the parent finds the destination by each request. */
  async dialForRequests(aim: Aim, terms: DialTerms): Promise<Dialled> {
    const { addresses, destination } = aim;
    const isVetted = destination.host instanceof Hostname && addresses.length > 0;
    if (this.#parent.resolve === 'local' || isVetted) return this.dial(aim, terms);
    try {
      const { stream, address } = await this.#reach(terms);
      const absolute = { authorize: (head: Head) => this.#authorize(head) };
      return { stream, address: addresses[0], parent: { address, absolute } };
    } catch (error) {
      throw this.#trouble(error, (error as Error).message);
    }
  }

  async #tunnel(authority: string, terms: DialTerms) {
    const deadline = performance.now() + terms.timeoutMs;
    const { stream, address } = await this.#reach(terms);
    const head = connectHead(authority, terms.trail);
    this.#authorize(head);
    try {
      await requestTunnel(stream, head, deadline - performance.now());
    } catch (error) {
      stream.destroy();
      throw error;
    }
    return { stream, parent: { address } };
  }

  /** A connection to the parent itself. */
  async #reach({ parents, timeoutMs, idleMs }: DialTerms) {
    const { host, port } = this.#parent;
    const ips = host instanceof Hostname ? await parents.resolver.resolve(host) : [host];
    if (ips.some((ip) => parents.own.isListener(ip, port))) {
      throw new UpstreamError('connect-failed', 'it is this gateway itself');
    }
    const deadline = performance.now() + timeoutMs;
    const { socket, address } = await dial(ips, port, { timeoutMs });
    const stream =
      this.#context === undefined
        ? socket
        : await startTls(
            nodeSocket(socket, undefined),
            host,
            this.#context,
            deadline - performance.now(),
          );
    return { stream: new Channel(stream, idleMs), address };
  }

  #authorize(head: Head): void {
    if (this.#credential === undefined) return;
    head.set('Proxy-Authorization', proxyAuthorization(this.#credential));
  }

  /** To the client a parent that is not found or not trusted is a destination that cannot be reached, and no more. */
  #trouble(error: unknown, what: string): unknown {
    if (!(error instanceof UpstreamError)) return error;
    const { host, port } = this.#parent;
    const code = error.code === 'connect-timeout' ? error.code : 'connect-failed';
    const message = `the parent proxy ${hostText(host)}:${port}: ${what}`;
    return new UpstreamError(code, message, { cause: error });
  }
}
