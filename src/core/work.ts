/** Work in small pieces: it may rest wherever it yields, and goes on when it is asked to. */
export type Work<T> = Generator<undefined, T, undefined>;

/** Does all that is left of it, in one go. */
export function finish<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
