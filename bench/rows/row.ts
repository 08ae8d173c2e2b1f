import type { Peer, Site } from '../peers/peer.ts';
import type { WarmUp } from './warm-up.ts';

/** What one round of one contestant gave, by the key of the column. */
export type Figures = Readonly<Record<string, number>>;

export interface Column {
  readonly key: string;
  readonly title: string;
  readonly digits: number;
}

/** Somebody or something that is measured, in turns with the others of its row. */
export interface Contestant {
  readonly name: string;
  enter(): Promise<Entered>;
}

export interface Entered {
  round(): Promise<Figures>;
  leave(): Promise<void>;
}

export interface Target {
  readonly title: string;
  /** One value for each round, or none where who it takes was not measured. */
  values(series: Series): readonly number[];
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** The figures of one contestant's rounds; empty where it was not measured. */
export type Series = (contestant: string, column: string) => readonly number[];

export interface Row {
  readonly name: string;
  readonly title: string;
  /** The first is the one that ratios are made of: less is better. */
  readonly columns: readonly Column[];
  readonly targets: readonly Target[];
  /** What a reader of the figures has to know. */
  readonly notes?: readonly string[];
  /** Rounds beyond this tell nothing new. */
  readonly mostRounds?: number;
  contestants(course: Course): readonly Contestant[];
}

/** What is there for all rows. */
export interface Course {
  readonly ours: Peer;
  /** Those of the peers that are here and asked for. */
  readonly peers: readonly Peer[];
  /** How long a contestant is measured in one round. */
  readonly seconds: number;
  /** What it is made to do before. */
  readonly warmUp: WarmUp;
  site(
    choice?: Partial<Pick<Site, 'rules' | 'checked' | 'injects' | 'intercepts' | 'probe'>>,
  ): Site;
  /** User and system time of the two upstreams so far, in seconds. */
  upstreamCpu(): number;
}

/** In each round: how many times as much the other one takes as `ours`. */
export function ratio(series: Series, ours: string, other: string, column: string): number[] {
  const [mine, theirs] = [series(ours, column), series(other, column)];
  return mine.flatMap((value, i) => (theirs[i] === undefined ? [] : [theirs[i] / value]));
}

export function efficiency(title: string, other: string, atLeast: number): Target {
  return { title, atLeast, values: (series) => ratio(series, 'sekisho', other, 'cpu') };
}
