import { readFileSync } from 'node:fs';

/** Of the package: it stands beside `src` as beside `dist`. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;
