/** A checkpoint, as findings name it. */
export interface Mark {
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** Something that is not as the gateway left it. */
export interface Problem {
  /** The file's name; with its folder where it is no file of the record. */
  readonly file: string;
  /** From 1 on; null: the file as a whole. */
  readonly line: number | null;
  readonly what: string;
  /** The newest checkpoint that still fits what is before this place. */
  readonly after: Mark | null;
  /** The oldest checkpoint that covers this place. */
  readonly before: Mark | null;
}

/** Something to know that is no fault. */
export type Note = Pick<Problem, 'file' | 'line' | 'what'>;

/** A file that somebody filled with noise must not fill the memory. */
const MOST_LISTED = 1_000;

/** What a verification finds, each with its place. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly notes: Note[] = [];
  /** Problems beyond those that are listed. */
  unlisted = 0;

  problem(
    file: string,
    line: number | null,
    what: string,
    after: Mark | null = null,
    before: Mark | null = null,
  ): void {
    if (this.problems.length < MOST_LISTED) this.problems.push({ file, line, what, after, before });
    else this.unlisted++;
  }

  note(file: string, line: number | null, what: string): void {
    if (this.notes.length < MOST_LISTED) this.notes.push({ file, line, what });
  }
}
