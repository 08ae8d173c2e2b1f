import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { zip } from '../../src/lambda/bundle/zip.ts';
import { FUNCTIONS } from '../../src/lambda/functions.ts';
import { run } from '../support/clients.ts';
import { resourcesOf } from '../support/cloudformation.ts';
import { needs } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';
import { type Statement, statements } from '../support/statements.ts';

const work = mkdtempSync(join(tmpdir(), 'sekisho-bundle-'));
after(() => rmSync(work, { recursive: true, force: true }));

const at = (name: string) => join(work, name);
const sekisho = (args: readonly string[], env: Record<string, string> = {}) =>
  run(process.execPath, [join(ROOT, 'bin/sekisho.js'), ...args], { cwd: work, env });

// As Lambda's own runtime finds it.
const LOADED = "process.stdout.write(typeof require('./index.js').handler)";

for (const name of Object.keys(FUNCTIONS)) {
  test(`the bundle of ${name} is the same wherever it is made, and small`, {
    skip: needs('unzip'),
  }, async () => {
    const made = async (file: string, TZ: string) => {
      const { stdout, code } = await sekisho(['lambda', 'bundle', name, '-o', file, '--json'], {
        TZ,
      });
      assert.equal(code, 0);
      return JSON.parse(stdout);
    };
    const [a, b] = [await made('a.zip', 'Asia/Tokyo'), await made('b.zip', 'America/Lima')];
    assert.equal(a.sha256, b.sha256);
    assert.deepEqual(readFileSync(at('a.zip')), readFileSync(at('b.zip')));
    assert.equal(a.bytes, readFileSync(at('a.zip')).length);
    assert.ok(a.bytes < 3_000_000, `${a.bytes} bytes`);
    const listed = execFileSync('unzip', ['-Z1', at('a.zip')], { encoding: 'utf8' });
    assert.equal(listed, 'index.js\n');
    const code = execFileSync('unzip', ['-p', at('a.zip')], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    assert.ok(!code.includes(ROOT), 'a path of the machine that made it');
    writeFileSync(at('index.js'), code);
    const { stderr, stdout } = await run(process.execPath, ['-e', LOADED], {
      cwd: work,
      env: { NODE_PATH: join(ROOT, 'node_modules'), SSM_SIGN_PROXY_PREFIX: '/p' },
    });
    assert.deepEqual([stdout, stderr], ['function', '']);
  });
}

test('the bundle of ranges applies, as Lambda runs it', { skip: needs('unzip') }, async () => {
  writeFileSync(at('published'), '198.51.100.0/24\n');
  writeFileSync(
    at('ranges.yaml'),
    `version: 1
gateway: { dataDir: var }
sets: { s: { ranges: { file: published } } }
ranges: { targets: { t: { set: s, file: { path: list, format: plain } } } }
`,
  );
  const args = ['lambda', 'bundle', 'ranges', '--policy', 'ranges.yaml', '--add', 'published'];
  assert.equal((await sekisho(args)).code, 0);
  const task = at('task');
  execFileSync('unzip', ['-q', at('ranges.zip'), '-d', task]);
  const call = "require('./index.js').handler({}).then((r) => console.log(JSON.stringify(r)))";
  const { stdout, stderr } = await run(process.execPath, ['-e', call], {
    cwd: task,
    env: { NODE_PATH: join(ROOT, 'node_modules') },
  });
  assert.deepEqual([stdout, stderr], ['{"applied":true,"targets":["t"]}\n', '']);
  assert.match(readFileSync(join(task, 'list'), 'utf8'), /\n198\.51\.100\.0\/24\n$/);
});

test('a policy and its CA go in beside the code', { skip: needs('unzip') }, async () => {
  writeFileSync(at('p.yaml'), 'version: 1\n');
  writeFileSync(at('ca.pem'), 'x');
  const args = ['lambda', 'bundle', 'sign', '--policy', 'p.yaml', '--add', 'ca.pem'];
  const { stdout } = await sekisho(args);
  assert.match(stdout, /^bytes {4}\d+$/m);
  const listed = execFileSync('unzip', ['-Z1', at('sign.zip')], { encoding: 'utf8' });
  assert.deepEqual(listed.trim().split('\n'), ['ca.pem', 'index.js', 'sekisho.yaml']);
});

test('what cannot be bundled is told', async () => {
  for (const [args, message] of [
    [['nothing'], /no function "nothing"; write one of: /],
    [['sign', '--policy', 'missing.yaml'], /missing\.yaml cannot be read/],
  ] as const) {
    const { code, stderr } = await sekisho(['lambda', 'bundle', ...args]);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});

test('a zip holds what it was made of', { skip: needs('unzip') }, () => {
  const content = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * i) % 251));
  writeFileSync(
    at('z.zip'),
    zip([
      { name: 'b/ü.bin', content },
      { name: 'a', content: Buffer.alloc(0) },
    ]),
  );
  execFileSync('unzip', ['-tqq', at('z.zip')]);
  assert.deepEqual(execFileSync('unzip', ['-p', at('z.zip')]), content);
});

test('who sends by the function needs to invoke it, and nothing else', async () => {
  const arn = 'arn:aws:lambda:ap-northeast-1:123456789012:function:f';
  assert.deepEqual(await statements(['invoke', '--function', 'f'], work), [
    {
      Sid: 'InvokeFunction',
      Effect: 'Allow',
      Action: ['lambda:InvokeFunction'],
      Resource: [arn, `${arn}:*`],
    },
  ]);
});

test('the function needs to read what its policy names, and nothing else', async () => {
  writeFileSync(
    at('policy.yaml'),
    `version: 1
credentials:
  a: { for: a.example, header: { X-A: { ssm: "/one:3" }, X-B: { secretsManager: { id: two } } } }
  b: { convention: parameter-store, prefix: /production }
`,
  );
  const args = [
    '-c',
    'policy.yaml',
    '--policy-parameter',
    '/policy',
    '--key',
    'arn:aws:kms:x:1:key/k',
  ];
  const given = await statements(['sign', ...args], work);
  const place = 'ap-northeast-1:123456789012';
  assert.deepEqual(
    given.map(({ Action, Resource }) => [String(Action), ...Resource]),
    [
      [
        'logs:CreateLogStream,logs:PutLogEvents',
        `arn:aws:logs:${place}:log-group:/aws/lambda/sekisho-sign:*`,
      ],
      [
        'ssm:GetParameter',
        `arn:aws:ssm:${place}:parameter/one`,
        `arn:aws:ssm:${place}:parameter/policy`,
      ],
      ['ssm:GetParametersByPath', `arn:aws:ssm:${place}:parameter/production/*`],
      ['secretsmanager:GetSecretValue', `arn:aws:secretsmanager:${place}:secret:two-??????`],
      ['kms:Decrypt', 'arn:aws:kms:x:1:key/k'],
    ],
  );
});

const PLACE = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'ap-northeast-1',
  'AWS::AccountId': '123456789012',
  'Sign.Arn': 'arn:aws:lambda:ap-northeast-1:123456789012:function:sekisho-sign',
  'Role.Arn': 'arn:aws:iam::123456789012:role/sign',
  Sign: 'sekisho-sign',
};

for (const [label, parameters, args] of [
  ['a prefix', { Prefix: '/p' }, ['--prefix', '/p']],
  [
    'all that it may have',
    { Prefix: '/p/q', PolicyParameter: '/x', Key: 'arn:aws:kms:x:1:key/k' },
    ['--prefix', '/p/q', '--policy-parameter', '/x', '--key', 'arn:aws:kms:x:1:key/k'],
  ],
] as const) {
  test(`the template with ${label} gives the rights that the command tells, to what is in the zip`, {
    skip: needs('unzip'),
  }, async () => {
    const text = readFileSync(join(ROOT, 'deploy/lambda/template.yaml'), 'utf8');
    const made = resourcesOf(text, { ...PLACE, ...parameters }) as Record<string, Resource>;
    const statementsOf = (document: PolicyDocument | undefined) =>
      [...(document?.Statement ?? [])].map(asLists).sort(bySid);
    const told = async (...all: readonly string[]) =>
      [...(await statements(all, work))].map(asLists).sort(bySid);
    const [policy] = made.Role?.Properties.Policies ?? [];
    assert.deepEqual(statementsOf(policy?.PolicyDocument), await told('sign', ...args));
    assert.deepEqual(statementsOf(made.Invoke?.Properties.PolicyDocument), await told('invoke'));
    const { Handler, Runtime, CodeUri, Environment } = made.Sign?.Properties ?? {};
    await sekisho(['lambda', 'bundle', 'sign']);
    const listed = execFileSync('unzip', ['-Z1', at(CodeUri ?? '')], { encoding: 'utf8' });
    assert.deepEqual([`${Handler?.split('.')[0]}.js\n`, Runtime], [listed, 'nodejs24.x']);
    const { SSM_SIGN_PROXY_PREFIX, SEKISHO_POLICY_PARAMETER } = Environment?.Variables ?? {};
    assert.equal(SSM_SIGN_PROXY_PREFIX, parameters.Prefix);
    assert.equal(SEKISHO_POLICY_PARAMETER, 'PolicyParameter' in parameters ? '/x' : '');
  });
}

interface PolicyDocument {
  readonly Statement: readonly Statement[];
}

interface Resource {
  readonly Properties: {
    readonly Policies?: readonly { readonly PolicyDocument: PolicyDocument }[];
    readonly PolicyDocument?: PolicyDocument;
    readonly Handler?: string;
    readonly Runtime?: string;
    readonly CodeUri?: string;
    readonly Environment?: { readonly Variables: Readonly<Record<string, string>> };
  };
}

function asLists(one: Statement) {
  return { ...one, Action: [one.Action].flat(), Resource: [one.Resource].flat() };
}

function bySid(a: Statement, b: Statement): number {
  return a.Sid < b.Sid ? -1 : 1;
}
