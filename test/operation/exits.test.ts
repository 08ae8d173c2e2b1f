import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { OutcomeEvent } from '../../src/audit/event.ts';
import { listeningPort } from '../support/clients.ts';
import { Namespace, needsNamespaces } from '../support/namespaces.ts';
import { needs } from '../support/programs.ts';
import { ROOT } from '../support/sources.ts';

/**
 * A gateway on a host with two addresses of each family, and a server elsewhere that tells which of them it sees:
 *
 *     gateway's namespace                          the world
 *     10.77.0.1, fd77::1  (exit one) ---cable--- 10.77.0.9, fd77::9
 *     10.77.0.2, fd77::2  (exit two)
 */
const skip = needsNamespaces() || needs('curl');
const [ONE, TWO] = [8081, 8082];
const WORLD = ['10.77.0.9', '[fd77::9]'];

const CONFIG = `
version: 1
gateway: { dataDir: var }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ clientAddress: [127.0.0.1] }] } }
rules:
  - { name: one, allow: [local], to: [10.77.0.9, "fd77::9"], ports: [${ONE}], tls: off, via: one }
  - { name: two, allow: [local], to: [10.77.0.9, "fd77::9"], ports: [${TWO}], tls: off, via: two }
exits:
  one: { localAddress: [10.77.0.1, "fd77::1"], public: [10.77.0.1, "fd77::1"] }
  two: { localAddress: [10.77.0.2, "fd77::2"], public: [203.0.113.7] }
`;

let dir: string;
let here: Namespace;
let world: Namespace;
let proxy: string;
/** Every connection that the server accepted. */
let seen = '';

before(async () => {
  if (skip !== false) return;
  dir = await mkdtemp(join(tmpdir(), 'sekisho-exits-'));
  await writeFile(join(dir, 'sekisho.yaml'), CONFIG);
  here = new Namespace('gateway');
  world = new Namespace('world');
  here.connect(
    world,
    ['10.77.0.1/24', '10.77.0.2/24', 'fd77::1/64', 'fd77::2/64'],
    ['10.77.0.9/24', 'fd77::9/64'],
  );
  const echo = world.spawn(
    process.execPath,
    join(ROOT, 'test/support/source-echo.ts'),
    `${ONE}`,
    `${TWO}`,
  );
  await listens(echo);
  const gateway = here.spawn(process.execPath, ...sekisho('run'));
  proxy = `http://127.0.0.1:${await listeningPort(gateway.stderr as NonNullable<typeof gateway.stderr>)}`;
});

after(async () => {
  if (skip !== false) return;
  await here.stop();
  await world.stop();
  await rm(dir, { recursive: true, force: true });
});

function sekisho(...args: readonly string[]): string[] {
  return [join(ROOT, 'bin/sekisho.js'), ...args, '-c', join(dir, 'sekisho.yaml')];
}

async function listens(echo: ChildProcess): Promise<void> {
  echo.stdout?.on('data', (chunk) => {
    seen += chunk;
  });
  while (![ONE, TWO].every((port) => seen.includes(`${port} listens`))) {
    await once(echo.stdout as NonNullable<typeof echo.stdout>, 'data');
  }
}

async function ask(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await here.run('curl', '-sSg', '-x', proxy, ...args);
  return stdout.trim() || stderr;
}

/** Of the exchange that a refusal names, once it is on record. */
async function outcomeOf(answer: string): Promise<OutcomeEvent> {
  const id = /^Sekisho-Exchange: (\S+)\r$/m.exec(answer)?.[1] ?? '';
  const folder = join(dir, 'var/audit');
  for (;;) {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl'));
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    const lines = texts.join('').split('\n').slice(0, -1);
    const found = lines.find((line) => line.startsWith(`{"type":"outcome","id":"${id}"`));
    if (found !== undefined) return JSON.parse(found) as OutcomeEvent;
  }
}

/** Each line of the answer without its colours and padding. */
async function verify(echo: string, ...more: readonly string[]) {
  const args = sekisho('exits', 'verify', '--echo', echo, ...more);
  const { code, stdout } = await here.run(process.execPath, ...args);
  return {
    code,
    lines: stdout
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' ')),
  };
}

test('each rule leaves by the address of its exit, over IPv4 and IPv6, as a request and as a tunnel', {
  skip,
}, async () => {
  for (const [i, host] of WORLD.entries()) {
    const [first, second] = i === 0 ? ['10.77.0.1', '10.77.0.2'] : ['fd77::1', 'fd77::2'];
    for (const way of [[], ['-p']]) {
      assert.equal(await ask(...way, `http://${host}:${ONE}/`), first);
      assert.equal(await ask(...way, `http://${host}:${TWO}/`), second);
    }
  }
});

test('exits verify tells what the world sees, and what public says otherwise', {
  skip,
}, async () => {
  const over4 = await verify(`http://10.77.0.9:${ONE}/json`);
  assert.deepEqual(over4, {
    code: 1,
    lines: [
      'ok one (10.77.0.1): seen as 10.77.0.1',
      'unreachable one (fd77::1): 10.77.0.9 has no IPv6 address: name another echo with --echo',
      'differs two (10.77.0.2): seen as 10.77.0.2, while public says 203.0.113.7: correct public, and what every SaaS has listed',
      'unreachable two (fd77::2): 10.77.0.9 has no IPv6 address: name another echo with --echo',
    ],
  });
  const over6 = await verify(`http://[fd77::9]:${ONE}/`, '--json');
  const { ok, exits } = JSON.parse(over6.lines[0] as string);
  assert.deepEqual([over6.code, ok], [1, false]);
  assert.deepEqual(
    exits.map(({ exit, status, seen }: Record<string, unknown>) => [exit, status, seen]),
    [
      ['one', 'unreachable', null],
      ['one', 'ok', 'fd77::1'],
      ['two', 'unreachable', null],
      ['two', 'unstated', 'fd77::2'],
    ],
  );
});

test('an exit whose address is gone leads nowhere, and nothing leaves by the other', {
  skip,
}, async () => {
  for (const [address, host] of [
    ['10.77.0.2/24', '10.77.0.9'],
    ['fd77::2/64', '[fd77::9]'],
  ] as const) {
    here.removeAddress(address);
    const before = seen;
    for (const way of [[], ['-p']]) {
      const answer = await ask('-D', '-', ...way, `http://${host}:${TWO}/?gone`);
      assert.match(answer, /^HTTP\/1\.1 502 [^\r]*connect-failed/);
      const { outcome, exit } = await outcomeOf(answer);
      assert.equal(exit, 'two');
      assert.match(outcome.detail ?? '', /^exit two: .* cannot leave from \S+: EADDRNOTAVAIL\)$/);
    }
    assert.equal(seen, before);
    // The other rule is none the worse for it.
    assert.match(await ask('-p', `http://${host}:${ONE}/`), /^(?:10\.77\.0\.1|fd77::1)$/);
  }
});
