/** A function that is deployed by itself. */
export interface FunctionEntry {
  /** Its handler, below `src`, without extension. */
  readonly entry: string;
  readonly says: string;
}

/** One entry for each function: whatever is here can be bundled, and is in the published package. */
export const FUNCTIONS: Readonly<Record<string, FunctionEntry>> = {
  ranges: {
    entry: 'lambda/ranges/handler',
    says: 'keeps allow-lists equal to published ranges, when AWS announces a change or by a schedule',
  },
  sign: {
    entry: 'lambda/sign/handler',
    says: 'decides on the requests in events, puts credentials on them, and sends them',
  },
};

/** What a bundle's function is called by: its file and its export. */
export const HANDLER = 'index.handler';
export const RUNTIME = 'nodejs24.x';
