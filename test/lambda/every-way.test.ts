import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createCertificates } from '../support/certificates.ts';
import { TOKEN } from '../support/credential-gateway.ts';
import type { Mode, Report } from '../support/every-way.ts';
import { Namespace, needsNamespaces } from '../support/namespaces.ts';
import { needs } from '../support/programs.ts';
import { tells } from '../support/secret-echoes.ts';
import { ROOT } from '../support/sources.ts';

/**
 * One API, which takes the right token only, at a public address; and workloads without a token:
 *
 *     client, gateway, agent, function, AWS          the world
 *     140.82.112.1  ------------cable------------  140.82.112.6  api.github.com
 */
const skip = needsNamespaces() || needs('curl', 'unzip');

let dir: string;
let here: Namespace;
let world: Namespace;
let requests = '';

before(async () => {
  if (skip !== false) return;
  dir = mkdtempSync(join(tmpdir(), 'sekisho-ways-'));
  const { ca, cert, key } = createCertificates('api.github.com');
  writeFileSync(join(dir, 'ca.pem'), ca);
  writeFileSync(join(dir, 'leaf.pem'), Buffer.concat([cert, key]));
  here = new Namespace('here');
  world = new Namespace('world');
  here.connect(world, ['140.82.112.1/24'], ['140.82.112.6/24']);
  here.setHosts('127.0.0.1 localhost\n140.82.112.6 api.github.com\n');
  const api = world.spawn(
    process.execPath,
    join(ROOT, 'test/support/github-api.ts'),
    '140.82.112.6',
    dir,
  );
  api.stdout?.on('data', (chunk) => {
    requests += chunk;
  });
  await once(api.stdout as NonNullable<typeof api.stdout>, 'data');
  const sekisho = join(ROOT, 'bin/sekisho.js');
  execFileSync(process.execPath, [sekisho, 'lambda', 'bundle', 'sign', '-o', 'sign.zip'], {
    cwd: dir,
  });
  execFileSync('unzip', ['-q', 'sign.zip'], { cwd: dir });
  writeFileSync(
    join(dir, 'stored.yaml'),
    'version: 1\ncredentials: { c: { for: api.github.com, header: { A: { ssm: /github } } } }\n',
  );
});

after(async () => {
  if (skip !== false) return;
  await here.stop();
  await world.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function reportOf(mode: Mode): Promise<Report> {
  const script = join(ROOT, 'test/support/every-way.ts');
  const env = { NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem') };
  const { stdout, stderr } = await here.runWith(env, process.execPath, script, mode, dir);
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout);
}

const RIGHTS: Readonly<Record<Mode, readonly string[]>> = {
  prefix: ['GetParametersByPath'],
  policy: ['GetParameter'],
};

for (const mode of ['prefix', 'policy'] as const) {
  test(`an API that takes the right token only is reached by every way, by a ${mode}, and the token is nowhere`, {
    skip,
  }, async () => {
    requests = '';
    const { answers, artefacts, calls } = await reportOf(mode);
    const { direct, 'agent, no rule': refused, ...ways } = answers;
    assert.match(direct ?? '', /^401 .*Bad credentials/);
    assert.deepEqual(Object.keys(ways), ['http-proxy', 'intercept', 'event', 'agent', 'client']);
    for (const [way, answer] of Object.entries(ways)) {
      assert.match(answer, /^200 \{"login":"octocat","told":\["\*+/, way);
    }
    // A prefix has no rule but itself: whatever is stored may be used, with any path.
    assert.equal(refused, mode === 'prefix' ? '200 ' : '403 ');
    assert.equal(requests.match(/^200 /gm)?.length, mode === 'prefix' ? 6 : 5);
    assert.match(requests, /^200 \/repos\/acme\/x\?page=2$/m);
    assert.deepEqual(calls, RIGHTS[mode]);
    for (const [name, text] of Object.entries({ ...ways, ...artefacts })) {
      assert.ok(!tells(text, TOKEN), name);
    }
    for (const name of ['function', 'audit']) {
      assert.match(artefacts[name] ?? '', /"type":"outcome"/, name);
    }
  });
}
