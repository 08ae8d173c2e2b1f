/** Every command's exit code: done, refused or found, wrong usage. */
export const EXIT = { done: 0, found: 1, usage: 2 } as const;
