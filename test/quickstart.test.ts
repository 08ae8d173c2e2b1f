import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from './support/clients.ts';
import { needs } from './support/programs.ts';
import { ROOT } from './support/sources.ts';

test('npm start prints two curl commands: one passes, one is refused and says why', {
  skip: needs('curl'),
}, async (t) => {
  const start = spawn(process.execPath, [join(ROOT, 'examples/quickstart/start.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => start.kill('SIGKILL'));
  let printed = '';
  for await (const chunk of start.stdout) {
    printed += chunk;
    if (printed.includes('Ctrl-C')) break;
  }
  const [passes, refused] = [...printed.matchAll(/^ {2}(curl .*)$/gm)].map(
    (match) => match[1] as string,
  );
  const passed = await run('sh', ['-c', `${passes} -s`]);
  assert.match(passed.stdout, /^Hello from the upstream/);
  assert.doesNotMatch(passed.stdout, /lambda/i);
  const denied = await run('sh', ['-c', `${refused} -s`]);
  assert.match(denied.stdout, /^Sekisho 403: no-matching-rule\./);
  const [, tail = ''] = /^ {2}node (bin\/sekisho\.js .*)$/m.exec(printed) ?? [];
  // Followed, the record has no end, and neither has this test.
  assert.match(tail, /^bin\/sekisho\.js audit tail --no-follow /);
  const tailed = await run(process.execPath, tail.split(' '), { cwd: ROOT });
  assert.match(tailed.stdout, /hello\.localhost:8081/);
  assert.match(tailed.stdout, /no-matching-rule/);
  start.kill('SIGINT');
  const [code] = await once(start, 'exit');
  assert.equal(code, 0);
});
