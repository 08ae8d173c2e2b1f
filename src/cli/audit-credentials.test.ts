import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { startScene } from '../../test/support/credential-gateway.ts';
import { listCredentials } from './audit-credentials.ts';

async function listed(
  options: Parameters<typeof listCredentials>[0],
  now: number,
): Promise<string> {
  const output = new PassThrough();
  await listCredentials(options, output, now);
  output.end();
  return text(output);
}

/** A configuration that a command can read by itself. */
function configFile(t: TestContext, dataDir: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-credentials-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'sekisho.yaml');
  writeFileSync(
    file,
    `version: 1
gateway: { dataDir: "${dataDir}" }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
credentials:
  c: { for: api.localhost, header: { A: { env: TOKEN } } }
  forgotten: { for: a.example, header: { A: { env: TOKEN } }, expires: 2026-12-01 }
`,
  );
  return file;
}

test('audit credentials tells who used which one where, which are unused, and which end soon', async (t) => {
  const { gateway, ask, authority } = await startScene(t);
  for (let i = 0; i < 3; i++) await ask('GET /');
  await ask('TRACE /');
  await gateway.outcome((event) => event.action === 'TRACE');
  const config = configFile(t, join(gateway.dir, 'var'));
  const now = Date.parse('2026-11-20T00:00:00Z');
  const report = JSON.parse(await listed({ config, json: true }, now));
  assert.equal(report.uses.length, 1);
  const { last, ...use } = report.uses[0];
  assert.deepEqual(use, {
    credential: 'c',
    principal: 'fn',
    destination: authority,
    count: 3,
    unmasked: 0,
    version: null,
  });
  assert.ok(!Number.isNaN(Date.parse(last)));
  assert.deepEqual(report.unused, ['forgotten']);
  assert.deepEqual(report.ending, [{ credential: 'forgotten', lastDay: '2026-12-01' }]);
  const lines = (await listed({ config }, now)).split('\n');
  assert.match(
    lines[0] ?? '',
    /^credential +principal +destination +uses +unmasked +last +version$/,
  );
  assert.match(lines[1] ?? '', /^c +fn +api\.localhost:\d+ +3 +0 +\S+Z +-$/);
  assert.deepEqual(lines.slice(2), ['unused: forgotten', 'ends 2026-12-01: forgotten', '']);
  const early = await listed({ config, until: Date.parse('2020-01-01') }, Date.parse('2020-01-01'));
  assert.equal(early, 'no request took on a credential\nunused: c\nunused: forgotten\n');
});
