/** Of connections that nobody uses, to a destination and to all. */
export interface PoolLimits {
  readonly perKey: number;
  readonly total: number;
  readonly idleMs: number;
}
