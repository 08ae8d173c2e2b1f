import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCertificates } from '../../test/support/certificates.ts';
import { ROOT } from '../../test/support/sources.ts';

const GOOD = `version: 1
principals: { app: { identify: [{ bearer: { token: { env: TOKEN } } }] } }
rules: [{ name: r, allow: [app], to: [a.example, .com] }]
expect: [{ principal: app, to: "a.example:443", decision: allow }]
`;

function sekisho(t: TestContext, yaml: string, args: readonly string[], env = {}) {
  const cwd = mkdtempSync(join(tmpdir(), 'sekisho-check-'));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  writeFileSync(join(cwd, 'sekisho.yaml'), yaml);
  const executable = join(ROOT, 'bin', 'sekisho.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [executable, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const WARNING =
  'sekisho.yaml:3:50: warning: ".com" is a public suffix, where everybody can have a host; name the hosts that are meant\n';

test('a configuration without faults exits 0, with its warnings and a closing line', (t) => {
  const { status, stdout } = sekisho(t, GOOD, ['check'], { TOKEN: 'x' });
  assert.equal(
    stdout.replace(/[0-9a-f]{64}/, 'DIGEST'),
    `${WARNING}sekisho.yaml: 0 faults, 1 warning, 1 of 1 expectation holds, policy sha256:DIGEST\n`,
  );
  assert.equal(status, 0);
});

test('a fault exits 1 and says where', (t) => {
  const { status, stdout } = sekisho(t, GOOD.replace('allow: [app]', 'allow: [ap]'), ['check']);
  assert.equal(
    stdout,
    'sekisho.yaml:3:28: no principal or group is called "ap"; define it under principals or groups\n' +
      'sekisho.yaml: 1 fault, 0 warnings\n',
  );
  assert.equal(status, 1);
});

test('a secret that cannot be read is a fault, unless nobody asks', (t) => {
  const asked = sekisho(t, GOOD, ['check']);
  assert.match(asked.stdout, /^sekisho\.yaml:2:52: the secret env TOKEN is missing; /);
  assert.equal(asked.status, 1);
  assert.equal(sekisho(t, GOOD, ['check', '--no-secrets']).status, 0);
});

test('the variable of an exit is wanted as secrets are, and its address once it is set', (t) => {
  const exits = `${GOOD}exits: { fixed: { localAddress: { env: EXIT_ADDRESS } } }\n`;
  const digestOf = (stdout: string) => /policy (sha256:\w+)/.exec(stdout)?.[1];
  const asked = sekisho(t, exits, ['check'], { TOKEN: 'x' });
  assert.match(asked.stdout, /^sekisho\.yaml:5:\d+: the environment has no "EXIT_ADDRESS"; /);
  assert.equal(asked.status, 1);
  const without = sekisho(t, exits, ['check', '--no-secrets']);
  assert.equal(without.status, 0, without.stdout);
  const set = sekisho(t, exits, ['check'], { TOKEN: 'x', EXIT_ADDRESS: '10.0.0.9' });
  assert.equal(set.status, 0, set.stdout);
  assert.equal(digestOf(without.stdout), digestOf(set.stdout));
  const wrong = sekisho(t, exits, ['check', '--no-secrets'], { EXIT_ADDRESS: 'eth0' });
  assert.match(wrong.stdout, /"eth0" is not an address/);
  assert.equal(wrong.status, 1);
});

test('several expectations hold', (t) => {
  const two = GOOD.replace(
    'decision: allow }',
    '$&, { principal: app, to: "b.example:443", decision: deny }',
  );
  assert.match(sekisho(t, two, ['check', '--no-secrets']).stdout, /, 2 of 2 expectations hold, /);
});

test('an expectation that does not hold exits 1', (t) => {
  const broken = GOOD.replace('decision: allow', 'decision: deny');
  const { status, stdout } = sekisho(t, broken, ['check', '--no-secrets']);
  assert.match(stdout, /^sekisho\.yaml:4:10: "a\.example:443" is allowed for "app", by rule "r"/);
  assert.match(stdout, /1 fault, 1 warning, 0 of 1 expectation holds, /);
  assert.equal(status, 1);
});

test('what the rules do to one another is told beside the rest', (t) => {
  const tie = GOOD.replace(
    '.com] }',
    '.com] }, { name: r2, allow: [app], to: [a.example], tls: off }',
  );
  const { status, stdout } = sekisho(t, tie, ['check', '--no-secrets']);
  assert.match(stdout, /^sekisho\.yaml:3:\d+: .*"r2?".*"r2?"/m);
  assert.equal(status, 1);
});

test('--json prints one object with everything', (t) => {
  const { status, stdout } = sekisho(t, GOOD, ['check', '--json', '--no-secrets']);
  const { digest, ...report } = JSON.parse(stdout);
  assert.match(digest, /^sha256:/);
  assert.deepEqual(report, {
    ok: true,
    faults: [],
    warnings: [
      {
        severity: 'warning',
        at: { file: 'sekisho.yaml', line: 3, column: 50 },
        message: '".com" is a public suffix, where everybody can have a host',
        remedy: 'name the hosts that are meant',
      },
    ],
    expectations: { total: 1, failed: 0 },
  });
  assert.equal(status, 0);
});

test('a file that is not there exits 1, wrong usage exits 2', (t) => {
  const missing = sekisho(t, GOOD, ['check', '-c', 'other.yaml']);
  assert.match(missing.stdout, /^other\.yaml:1:1: "other\.yaml" does not exist; /);
  assert.equal(missing.status, 1);
  assert.equal(sekisho(t, GOOD, ['check', '--what']).status, 2);
});

test('schema prints a JSON Schema that names every section and closes every map', (t) => {
  const { status, stdout } = sekisho(t, GOOD, ['schema']);
  const schema = JSON.parse(stdout);
  assert.equal(status, 0);
  assert.equal(schema.additionalProperties, false);
  for (const section of ['gateway', 'listeners', 'principals', 'rules', 'exits', 'audit']) {
    assert.ok(section in schema.properties, section);
  }
  assert.equal(schema.properties.rules.items.additionalProperties, false);
  assert.equal(schema.properties.gateway.properties.drain.properties.notice.default, '5s');
});

test('a certificate of the gateway that ends soon is told', (t) => {
  const { caFile } = createCertificates('gateway.localhost');
  const tls = `certificate: { file: ${join(dirname(caFile), 'leaf.crt')} }, key: { file: ${join(dirname(caFile), 'leaf.key')} }`;
  const yaml = `${GOOD}listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0", tls: { ${tls} } } }\n`;
  const { status, stdout } = sekisho(t, yaml, ['check'], { TOKEN: 'x' });
  assert.match(
    stdout,
    /^sekisho\.yaml:5:\d+: warning: the certificate of listener egress ends on /m,
  );
  assert.equal(status, 0);
});

test('a set that follows a list is gone by its copy alone, and what is missing is told', (t) => {
  const yaml = GOOD.replace(
    'principals:',
    'sets: { ec2: { ranges: { provider: aws, service: S3 } } }\nprincipals:',
  ).replace('.com] }]', '.com] }, { name: s, allow: [app], to: [b.example], addresses: [ec2] }]');
  const { status, stdout } = sekisho(t, yaml, ['check'], { TOKEN: 'x' });
  assert.match(
    stdout,
    /^sekisho\.yaml:2:9: warning: there is no copy of the list of the set "ec2": here it holds nothing; fetch it: sekisho ranges show ec2$/m,
  );
  assert.equal(status, 0);
});
