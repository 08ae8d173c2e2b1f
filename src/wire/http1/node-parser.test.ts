import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HTTP_PROPERTIES } from '../../../test/support/http-properties.ts';

// What two readers take apart differently is how a request is smuggled past the one that decides. `npm run fuzz:wire`
// looks for longer.
for (const { name, trials, check } of HTTP_PROPERTIES) {
  test(name, async () => {
    const seed = Date.now() | 0;
    const failure = await check(seed, trials);
    if (failure !== undefined) assert.fail(`${failure.report}\nsent: ${failure.literal}`);
  });
}
