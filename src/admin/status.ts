import type { SetStatus } from '../published/follower.ts';
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
  /** Where the native part was built that passes the bytes of tunnels: here, or with the release; null: JavaScript does. */
  readonly nativeTunnel: 'built' | 'prebuilt' | null;
  readonly workers: readonly WorkerState[];
  /** The sets of its rules that follow published lists. */
  readonly lists: readonly SetStatus[];
  /** What each listener is bound to. */
  readonly listeners: Readonly<Record<string, readonly string[]>>;
  readonly admin: string;
  /** Of the newest checkpoint; null: none so far, or none are made. */
  readonly checkpointedAt: string | null;
}
