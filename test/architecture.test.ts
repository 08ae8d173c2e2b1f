import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { parseSource, ROOT, readSources, type Source } from './support/sources.ts';

/** The parts that a request passes. Only the files directly in `src` join them. */
const GATES = [
  'listener',
  'identity',
  'policy',
  'destination',
  'credential',
  'upstream',
  'audit',
] as const;

/** What each folder may import besides itself. A new folder gets its line here first. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['core'],
  tcp: ['core'],
  stream: ['core', 'wire', 'tcp'],
  config: ['core'],
  secret: ['core', 'config (types)'],
  authority: ['core', 'secret', 'config (types)'],
  listener: ['core', 'wire', 'tcp', 'stream', 'config (types)'],
  identity: ['core', 'wire', 'secret', 'config (types)'],
  policy: ['core', 'config (types)'],
  destination: ['core', 'wire', 'config (types)'],
  credential: ['core', 'wire', 'secret', 'config (types)'],
  upstream: ['core', 'wire', 'tcp', 'stream', 'secret', 'config (types)'],
  audit: ['core', 'wire', 'config (types)'],
  client: ['core', 'wire', 'secret'],
  metrics: ['core', 'config (types)', 'audit (types)'],
  traces: ['core', 'config (types)', 'audit (types)'],
  ranges: ['core', 'config (types)'],
};

/** Where the parts are put together, so that everything may be imported; and the log, which none of them imports. */
const ROOT_FILES = [
  'aside.ts',
  'candidate.ts',
  'credential-sources.ts',
  'examine-aside.ts',
  'examine-thread.ts',
  'examine.ts',
  'exchange.ts',
  'file-watch.ts',
  'gateway.ts',
  'in-force.ts',
  'index.ts',
  'log.ts',
  'ongoing.ts',
  'open-tunnels.ts',
  'own-certificates.ts',
  'parts.ts',
  'permission.ts',
  'preflight.ts',
  'primary.ts',
  'reload.ts',
  'serving.ts',
  'slices.ts',
  'systemd.ts',
  'telemetry.ts',
  'version.ts',
  'worker.ts',
  'workers.ts',
];
const JOINING_FOLDERS = ['admin', 'cli', 'lambda', 'processes', 'published'];

/** No I/O, no clock, no chance. */
const PURE = ['core', 'policy', 'wire'];

/** All that the pure folders take from outside; in Node's modules only what computes. */
const PURE_IMPORTS: Readonly<Record<string, readonly string[] | 'all'>> = {
  'node:buffer': ['Buffer', 'isUtf8'],
  'node:crypto': ['createHash', 'timingSafeEqual'],
  'node:http': ['STATUS_CODES'],
  'node:net': ['isIP', 'isIPv4', 'isIPv6'],
  'node:url': ['domainToASCII'],
  'node:util': ['inspect'],
  'ipaddr.js': 'all',
  tldts: 'all',
};

/** What every worker has in its memory from the beginning. Whatever only some need is imported where they come to it. */
const PACKAGES_OF_A_WORKER: readonly string[] = ['ipaddr.js', 'picocolors', 'pino'];

const IMPURE_CALLS =
  /\bDate\.now\b|\bnew Date\(\)|\bDate\(\)|\bperformance\b|\bMath\.random\b|\bprocess\.|\bset(?:Timeout|Interval|Immediate)\b|\bcrypto\.|\bfetch\(|\bconsole\./;

/** Every file that takes a secret's value out of its wrapping. Read the change with care before adding one. */
const REVEALS: readonly string[] = [
  'admin/token.ts',
  'authority/authority.ts',
  'authority/find.ts',
  'credential/kinds/parameter-store.ts',
  'credential/values.ts',
  'identity/identify.ts',
  'lambda/sign/policy.ts',
  'traces/otlp.ts',
  'upstream/parent-credential.ts',
];

const sources = readSources();

test('every folder of src has its place in the layout', () => {
  const known = ['', ...Object.keys(MAY_IMPORT), ...JOINING_FOLDERS];
  assert.deepEqual(
    sources.filter(({ folder }) => !known.includes(folder)).map(({ path }) => path),
    [],
  );
});

test('only the named files stand directly in src', () => {
  const loose = sources.filter(({ folder, path }) => folder === '' && !ROOT_FILES.includes(path));
  assert.deepEqual(
    loose.map(({ path }) => path),
    [],
  );
});

test('a folder imports only what the layout lets it import', () => {
  assert.deepEqual(sources.flatMap(straying), []);
});

test('the gates never import one another', () => {
  const isGate = (folder: string | undefined) => GATES.some((gate) => gate === folder);
  const joined = sources
    .filter(({ folder }) => isGate(folder))
    .flatMap(({ path, folder, imports }) =>
      imports
        .map(({ from }) => ({ path, from, to: from.split('/')[0] }))
        .filter(({ to }) => to !== folder && isGate(to)),
    );
  assert.deepEqual(joined, []);
});

test('core, policy and wire import nothing that does I/O', () => {
  assert.deepEqual(sources.filter(isPure).flatMap(impureImports), []);
});

test('core, policy and wire read no clock, no chance and no environment', () => {
  const impure = sources.filter((source) => isPure(source) && IMPURE_CALLS.test(source.code));
  assert.deepEqual(
    impure.map(({ path, code }) => `${path}: ${IMPURE_CALLS.exec(code)?.[0]}`),
    [],
  );
});

test('no two files import one another, not even around corners', () => {
  assert.deepEqual(findCycle(sources), undefined);
});

test('an import that is decided at run time names its module', () => {
  const computed = sources.filter(({ code }) => /\bimport\((?!\s*''\s*\))/.test(code));
  assert.deepEqual(
    computed.map(({ path }) => path),
    [],
  );
});

test('a worker loads no package that its work can do without', () => {
  const packages = loadedBy('processes/main.ts').filter((name) => !/^node:|\.ts$/.test(name));
  const strange = packages.filter((name) => !PACKAGES_OF_A_WORKER.includes(name));
  assert.deepEqual(strange, []);
});

test('the value of a secret is taken out only where the list says so', () => {
  const reveals = sources.filter(({ code }) => /\.reveal\b/.test(code)).map(({ path }) => path);
  assert.deepEqual(reveals, REVEALS);
});

test('exports have names', () => {
  const unnamed = sources.filter(({ code }) => /^export default\b/m.test(code));
  assert.deepEqual(
    unnamed.map(({ path }) => path),
    [],
  );
});

test('no folder is a drawer for everything', () => {
  const drawers = globSync(['{src,test,scripts,bench,examples}/**/{utils,util,helpers,common}'], {
    cwd: ROOT,
  });
  assert.deepEqual(drawers, []);
});

// The rules above are as good as what reads the sources.
test('imports are found in every form that the sources use', () => {
  const { imports, code } = parseSource(
    'listener/a.ts',
    [
      "import { one, type Two as T } from '../core/one.ts';",
      "import type { Three } from './three.ts';",
      "import * as net from 'node:net';",
      "import 'node:fs';",
      'export {\n  four,\n} from "ignored: the formatter writes single quotes";',
      "export * from '../wire/five.ts';",
      "const text = 'process.env'; // Date.now()",
      "const six = await import('../audit/six.ts');",
    ].join('\n'),
  );
  assert.deepEqual(
    imports.map(({ from, typeOnly, names }) => [from, typeOnly, names]),
    [
      ['core/one.ts', false, ['one', 'Two']],
      ['listener/three.ts', true, ['Three']],
      ['node:net', false, []],
      ['node:fs', false, []],
      ['wire/five.ts', false, []],
      ['audit/six.ts', false, []],
    ],
  );
  assert.doesNotMatch(code, IMPURE_CALLS);
});

function isPure({ folder }: Source): boolean {
  return PURE.includes(folder);
}

function straying({ path, folder, imports }: Source): string[] {
  const allowed = MAY_IMPORT[folder];
  if (allowed === undefined) return [];
  return imports
    .filter(({ from, ours, typeOnly }) => {
      const to = from.split('/')[0] as string;
      if (!ours || to === folder || allowed.includes(to)) return false;
      return !(typeOnly && allowed.includes(`${to} (types)`));
    })
    .map(({ from }) => `${path} imports ${from}`);
}

function impureImports({ path, imports }: Source): string[] {
  return imports
    .filter(({ from, ours, typeOnly, names }) => {
      if (ours || typeOnly) return false;
      const pure = PURE_IMPORTS[from];
      if (pure === undefined) return true;
      return pure !== 'all' && (names.length === 0 || !names.every((name) => pure.includes(name)));
    })
    .map(({ from, names }) => `${path} imports ${names.join(', ')} from ${from}`);
}

/** The first circle of imports, as the files on it. */
function findCycle(files: readonly Source[]): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    done.add(path);
    for (const { from, ours } of byPath.get(path)?.imports ?? []) {
      const cycle = ours ? visit(from, [...trail, path]) : undefined;
      if (cycle !== undefined) return cycle;
    }
    return undefined;
  };
  return files.reduce<string[] | undefined>(
    (found, { path }) => found ?? visit(path, []),
    undefined,
  );
}

/** What starting with this file loads: files of ours, packages and modules of Node. */
function loadedBy(entry: string): string[] {
  const loaded = new Set([entry]);
  for (const path of loaded) {
    const imports = sources.find((source) => source.path === path)?.imports ?? [];
    for (const { from, typeOnly, lazy } of imports) if (!typeOnly && !lazy) loaded.add(from);
  }
  return [...loaded];
}
