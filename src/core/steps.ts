/**
 * The steps of an exchange that take time, in the order of `exchange.ts`. `decide`: identify, and decide on the name.
 * `resolve` ends once an address is decided on; `answer` is what a request's destination takes until it begins to answer.
 */
export const STEPS = ['decide', 'resolve', 'record', 'open', 'answer'] as const;

export type Step = (typeof STEPS)[number];
