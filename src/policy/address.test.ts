import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, nothingOwn, owning } from '../../test/support/policy.ts';
import { classify, forbiddenDetail } from './address.ts';

test('what a client is told of a forbidden address is plain ASCII, whatever shows it', () => {
  const details = ['8.8.8.8', '10.0.5.7', '169.254.169.254', '127.0.0.1'].flatMap((text) =>
    [nothingOwn, owning([text])].map((own) => forbiddenDetail(classify(address(text), 443, own))),
  );
  for (const detail of details) assert.match(detail, /^[\x20-\x7e]+$/);
  assert.ok(
    details.some((detail) => /kind "metadata service"; .*exactly under addresses/.test(detail)),
  );
  assert.ok(details.some((detail) => /the gateway's own host/.test(detail)));
});
