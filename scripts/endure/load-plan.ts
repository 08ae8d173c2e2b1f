/** What the load generator is told at its start: one JSON argument. */
export interface LoadPlan {
  /** The balancer's. */
  readonly port: number;
  readonly httpPort: number;
  readonly rawPort: number;
  readonly tlsPort: number;
  /** The file with the certificate that signed the TLS upstream's. */
  readonly caFile: string;
  /** What the header `X-Load` must say. */
  readonly identity: string;
  /** Requests a second on kept connections. */
  readonly rate: number;
  /** Tunnels a second that are opened, used and closed. */
  readonly tunnelRate: number;
  /** Tunnels that stay open. */
  readonly longTunnels: number;
}

export type Kind = 'request' | 'tunnel' | 'long tunnel';

/** Something that a client was not given, though it should have been. */
export interface Failure {
  readonly kind: Kind;
  /** The path or the host that it asked for: unlike any other. */
  readonly marker: string;
  /** Of the connection: the record names it as the client's. */
  readonly clientPort: number;
  /** Milliseconds since the epoch. */
  readonly openedMs: number;
  readonly failedMs: number;
  readonly what: string;
}

/** What happened since it was last asked. */
export interface Taken {
  /** What went well, by kind. */
  readonly done: Readonly<Record<Kind, number>>;
  /** What ended as it should among clients that are not well-behaved, by what they did. */
  readonly rough: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
  readonly slowestMs: number;
}

/**
 * What the load generator does when it is told. `take`: waits for what is under way and answers with a `Taken`.
 * `rough`: from now on, clients that are not well-behaved come as well.
 */
export type Order = { readonly order: 'take' | 'rough' };
