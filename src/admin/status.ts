import type { WorkerState } from '../workers.ts';

/** What `/v1/status` answers. Times are ISO 8601, UTC. */
export interface GatewayStatus {
  readonly gateway: string;
  readonly version: string;
  readonly state: 'starting' | 'accepting' | 'draining';
  /** The digest of the policy in force. */
  readonly policy: string;
  readonly policyLoadedAt: string;
  readonly startedAt: string;
  /** Whether the native part passes the bytes of tunnels; else JavaScript does. */
  readonly nativeTunnel: boolean;
  readonly workers: readonly WorkerState[];
  /** What each listener is bound to. */
  readonly listeners: Readonly<Record<string, readonly string[]>>;
  readonly admin: string;
  /** Of the newest checkpoint; null: none so far, or none are made. */
  readonly checkpointedAt: string | null;
}
