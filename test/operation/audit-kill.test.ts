import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { verifyAudit } from '../../src/audit/verify.ts';
import { ROOT } from '../support/sources.ts';

/** `SEKISHO_KILLS=100` for a long run. */
const KILLS = Number(process.env.SEKISHO_KILLS ?? 5);
const LONGEST_MS = 100;

test(`a record whose writer was killed ${KILLS} times is whole`, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-kills-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const { privateKey } = generateKeyPairSync('ed25519');
  const [audit, key, copies] = [join(dir, 'audit'), join(dir, 'key'), join(dir, 'copies')];
  await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await mkdir(copies);
  for (let kill = 0; kill < KILLS; kill++) {
    const writer = spawn(
      process.execPath,
      [join(ROOT, 'test/support/write-record.ts'), audit, key, copies],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(writer.stdout, 'data');
    await wait(randomInt(LONGEST_MS));
    writer.kill('SIGKILL');
    assert.deepEqual(await once(writer, 'exit'), [null, 'SIGKILL']);
  }
  const keys = [createPublicKey(privateKey)];
  const found = await verifyAudit({ dir: audit, anchors: copies, keys, progress() {} });
  assert.deepEqual(found.problems, []);
  assert.equal(found.segments, KILLS);
  assert.ok(found.checkpoints >= KILLS);
  t.diagnostic(
    `${found.lines} lines, ${found.checkpoints} checkpoints, ${found.notes.length} notes`,
  );
});
