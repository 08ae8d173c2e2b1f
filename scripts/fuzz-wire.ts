/**
 * Tries the HTTP/1.1 codec on generated traffic for as long as it is told: `npm run fuzz:wire -- --minutes 10`.
 *
 * The properties are those of `npm test`, which tries each a few hundred times. What fails is printed as small as it
 * could be made, to be put into test/cases/http1-*.json; `--seed N --minutes 0` repeats the round that found it.
 */
import { constants, setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { HTTP_PROPERTIES } from '../test/support/http-properties.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
  },
});
const minutes = Number(values.minutes);
const firstSeed = Number(values.seed);
if (!(minutes >= 0) || !Number.isInteger(firstSeed)) {
  throw new Error('--minutes takes a number, --seed an integer');
}

setPriority(constants.priority.PRIORITY_LOW);
const end = Date.now() + minutes * 60_000;
let seed = firstSeed;
do {
  await tryAll(seed++);
} while (Date.now() < end && process.exitCode === undefined);
const rounds = seed - firstSeed;
for (const { name, trials } of HTTP_PROPERTIES) say(`${rounds * trials} trials: ${name}`);

async function tryAll(seed: number): Promise<void> {
  for (const { name, trials, check } of HTTP_PROPERTIES) {
    const failure = await check(seed, trials);
    if (failure === undefined) continue;
    say(`\nDOES NOT HOLD: ${name}\nseed ${seed}\n${failure.report}\n\nsent: ${failure.literal}\n`);
    process.exitCode = 1;
  }
  say(`seed ${seed}: each property tried`);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
