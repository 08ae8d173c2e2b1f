import type { Load } from '../load.ts';

/** What is compiled at run time is compiled after so much work, not after so much time. */
export interface WarmUp {
  /** Requests or set-ups, at least. */
  readonly units: number;
  readonly leastSeconds: number;
  /** For those that are too slow for so many. */
  readonly mostSeconds: number;
}

export async function warmUp(
  { units, leastSeconds, mostSeconds }: WarmUp,
  load: (seconds: number) => Promise<Load>,
): Promise<void> {
  let done = 0;
  for (let seconds = 0; seconds < mostSeconds && (done < units || seconds < leastSeconds); ) {
    const slice = await load(leastSeconds);
    done += slice.units;
    seconds += slice.seconds;
  }
}
