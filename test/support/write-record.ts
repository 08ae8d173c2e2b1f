import { createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openRecord } from './record.ts';

/** Writes a record as fast as it can until it is killed. Arguments: the folder, a key, and where copies go. */
const [dir = '', key = '', copyTo = ''] = process.argv.slice(2);
const fail = (facts: object, message: string) => {
  throw new Error(`${message}: ${JSON.stringify(facts)}`);
};
const checkpointsBytes = () =>
  statSync(join(dir, 'checkpoints.jsonl'), { throwIfNoEntry: false })?.size ?? 0;
const before = checkpointsBytes();
const writer = await openRecord({
  dir,
  gateway: 'tokyo-1',
  policy: 'sha256:5e15',
  durability: 'write',
  keepMs: Number.MAX_SAFE_INTEGER,
  checkpoint: { everyMs: 5, key: createPrivateKey(readFileSync(key)), copyTo },
  now: Date.now,
  log: { info() {}, error: fail },
  meter: {
    linesWritten() {},
    linesLost() {},
    checkpointTaken() {},
    checkpointFailed() {},
    checkpointCopyFailed() {},
  },
});

/** A life that is worth a kill has lines and a checkpoint of its own. */
let told = false;
for (let turn = 0; ; turn++) {
  const lines = Array.from({ length: 1 + (turn % 50) }, (_, i) =>
    writer.write(`{"type":"outcome","turn":${turn},"text":"${'x'.repeat(i * 20)}"}\n`),
  );
  await Promise.all(lines);
  if (!told && checkpointsBytes() > before) {
    told = true;
    process.stdout.write('writing\n');
  }
}
