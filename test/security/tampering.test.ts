import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Problem } from '../../src/audit/finding.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { RawClient } from '../support/clients.ts';
import { startTestGateway } from '../support/gateway.ts';
import { startHttpUpstream, startRawUpstream } from '../support/upstreams.ts';

/** Whoever can write the files tries every place of a record that real gateways left: each time it is found, and named. */
const { privateKey } = generateKeyPairSync('ed25519');
const KEYS = [createPublicKey(privateKey)];
const LIVES = 3;
const STATEMENTS = 'checkpoints.jsonl';

const root = mkdtempSync(join(tmpdir(), 'sekisho-tampering-'));
const whole = join(root, 'whole', 'audit');
const copies = join(root, 'copies');
let segments: readonly string[];

before(async () => {
  mkdirSync(copies);
  for (let life = 0; life < LIVES; life++) await live();
  segments = readdirSync(whole)
    .filter((name) => name !== STATEMENTS)
    .sort();
});

after(() => rmSync(root, { recursive: true }));

/** A gateway from its start to its end: a request, a tunnel, refusals, another policy. */
async function live(): Promise<void> {
  const upstream = await startHttpUpstream();
  const echo = await startRawUpstream((socket) => socket.pipe(socket));
  const gateway = await startTestGateway(
    `
gateway: { dataDir: ${join(root, 'whole')} }
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ header: { name: X-Id, value: { literal: one } } }] } }
rules:
  - { name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
audit: { checkpoint: { key: { file: audit.key }, copyTo: ${copies} } }
`,
    { files: { 'audit.key': String(privateKey.export({ type: 'pkcs8', format: 'pem' })) } },
  );
  const host = `api.localhost:${upstream.port}`;
  const ask = async (head: string, until: RegExp) => {
    const client = new RawClient(gateway.port).send(head);
    await client.until(until);
    client.close();
  };
  await ask(`GET http://${host}/a?b HTTP/1.1\r\nHost: ${host}\r\nX-Id: one\r\n\r\n`, /hello/);
  await ask(`GET http://${host}/refused HTTP/1.1\r\nHost: ${host}\r\n\r\n`, / 407 /);
  await ask(
    `CONNECT raw.localhost:${echo.port} HTTP/1.1\r\nHost: raw.localhost\r\nX-Id: one\r\n\r\n`,
    / 200 /,
  );
  await gateway.outcome(({ action }) => action === 'CONNECT');
  writeFileSync(
    gateway.file,
    readFileSync(gateway.file, 'utf8').replace('raw.localhost', 'new.localhost'),
  );
  assert.equal(await gateway.gateway.reload(), true);
  await gateway.stop();
  await Promise.all([upstream.close(), echo.close()]);
}

/** The files of a record, or some of them, for somebody to change. */
class Copy {
  readonly #dir = mkdtempSync(join(root, 'copy-'));

  constructor(names: readonly string[]) {
    for (const name of names) cpSync(join(whole, name), join(this.#dir, name));
  }

  async verify(anchors?: string): Promise<readonly Problem[]> {
    const found = await verifyAudit({ dir: this.#dir, anchors, keys: KEYS, progress() {} });
    assert.equal(found.ok, found.problems.length === 0);
    return found.problems;
  }

  /** Verifies with other content in some files, and puts it back. */
  async verifyWith(
    contents: Readonly<Record<string, Buffer>>,
    anchors?: string,
  ): Promise<readonly Problem[]> {
    for (const [name, bytes] of Object.entries(contents)) put(join(this.#dir, name), bytes);
    const problems = await this.verify(anchors);
    for (const name of Object.keys(contents)) put(join(this.#dir, name), original(name));
    return problems;
  }
}

/** Without emptying it before, which file systems take as a reason to write at once. */
function put(path: string, bytes: Buffer): void {
  writeFileSync(path, bytes, { flag: 'r+' });
  truncateSync(path, bytes.length);
}

const originals = new Map<string, Buffer>();

function original(name: string): Buffer {
  const bytes = originals.get(name) ?? readFileSync(join(whole, name));
  originals.set(name, bytes);
  return bytes;
}

function linesOf(name: string): string[] {
  return original(name).toString('latin1').split('\n').slice(0, -1);
}

function joined(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
}

/** Another byte of the same class: a digit for a digit, a letter for a letter. */
function otherByte(text: string): string {
  if (/[0-9]/.test(text)) return String((Number(text) + 1) % 10);
  if (/[a-eg-y]/i.test(text)) return String.fromCharCode(text.charCodeAt(0) + 1);
  if (/[fz]/i.test(text)) return String.fromCharCode(text.charCodeAt(0) - 1);
  return { '"': "'", '{': '[', '}': ']', '[': '{', ']': '}', ',': ';', ':': ',' }[text] ?? '_';
}

function withOtherByte(line: string, at: number): string {
  return line.slice(0, at) + otherByte(line.charAt(at)) + line.slice(at + 1);
}

/** Changes one byte of each line at once, for every place that a byte can have; each line must be named, and no other. */
async function changeEveryByte(name: string): Promise<void> {
  const copy = new Copy([name]);
  const lines = linesOf(name);
  const longest = Math.max(...lines.map((line) => line.length));
  for (let at = 0; at < longest; at++) {
    const has = (line: string) => at < line.length;
    const changed = lines.map((line) => (has(line) ? withOtherByte(line, at) : line));
    const problems = await copy.verifyWith({ [name]: joined(changed) });
    const named = problems.filter(({ file, line }) => file === name && line !== null);
    const expected = lines.flatMap((line, i) => (has(line) ? [i + 1] : []));
    assert.deepEqual(
      named.map(({ line }) => line),
      expected,
      `byte ${at}`,
    );
  }
}

test('the record of real gateways is whole, and has every kind of line', async () => {
  assert.deepEqual(await new Copy([...segments, STATEMENTS]).verify(copies), []);
  const kinds = linesOf(segments[0] as string).map((line) => /^\{"type":"(\w+)"/.exec(line)?.[1]);
  assert.deepEqual([...new Set(kinds)].sort(), ['decision', 'outcome', 'reload', 'segment']);
});

test('any byte of any line was changed: exactly that line is named', () =>
  changeEveryByte(segments[0] as string));

test('any byte of any checkpoint was changed: exactly that checkpoint is named', () =>
  changeEveryByte(STATEMENTS));

const EDITS: Readonly<Record<string, (lines: string[], i: number) => readonly string[]>> = {
  'its newline was changed': (lines, i) =>
    lines.toSpliced(i, 2, `${lines[i]} ${lines[i + 1] ?? ''}`),
  'it was removed': (lines, i) => lines.toSpliced(i, 1),
  'it was doubled': (lines, i) => lines.toSpliced(i, 0, lines[i] as string),
  'another was put before it': (lines, i) =>
    lines.toSpliced(i, 0, '{"type":"outcome","id":"019ab0c4-2f1e-7c3a-9d52-1b7f0a3c5e88"}'),
  'one from elsewhere was put before it': (lines, i) =>
    lines.toSpliced(i, 0, linesOf(segments[0] as string)[2] as string),
  'it changed places with the next': (lines, i) =>
    lines.toSpliced(i, 2, lines[i + 1] ?? '', lines[i] as string),
  'all from there on were removed': (lines, i) => lines.slice(0, i),
};

for (const [what, change] of Object.entries(EDITS)) {
  test(`of each line: ${what}; it is found there`, async () => {
    const copy = new Copy([...segments, STATEMENTS]);
    for (const name of [segments[1] as string, STATEMENTS]) {
      const lines = linesOf(name);
      for (let i = 0; i < lines.length; i++) {
        const problems = await copy.verifyWith({ [name]: joined(change([...lines], i)) }, copies);
        const [first] = problems.filter(({ file }) => file === name);
        assert.ok(first, `${name}, line ${i + 1}`);
        // Of an end that was cut, the last line that is left is named; of the file of checkpoints, the file.
        const near = first.line === null || (first.line >= i && first.line <= i + 2);
        assert.ok(near, `${name}, line ${i + 1}: ${JSON.stringify(first)}`);
      }
    }
  });
}

test('a file was cut at any byte of its last line: the file is named', async () => {
  const last = segments.at(-1) as string;
  const newestCopy = join(copies, readdirSync(copies).sort().at(-1) as string);
  for (const [name, anchors] of [
    [last, undefined],
    [STATEMENTS, newestCopy],
  ] as const) {
    const copy = new Copy(name === last ? [last, STATEMENTS] : [STATEMENTS]);
    const bytes = original(name);
    const lastLine = linesOf(name).at(-1) as string;
    for (let cut = 1; cut <= lastLine.length + 1; cut++) {
      const problems = await copy.verifyWith({ [name]: bytes.subarray(0, -cut) }, anchors);
      assert.ok(
        problems.some(({ file }) => file === name),
        `${name}, ${cut} bytes off its end`,
      );
    }
  }
});

test('two segments changed places, or one was put in place of another: both are named', async () => {
  const copy = new Copy([...segments, STATEMENTS]);
  for (const [one = '', two = ''] of [
    segments.slice(0, 2),
    segments.slice(1),
    [segments[0], segments[2]],
  ]) {
    const swapped = { [one]: original(two), [two]: original(one) };
    assert.deepEqual(new Set(filesIn(await copy.verifyWith(swapped))), new Set([one, two]));
    assert.ok(filesIn(await copy.verifyWith({ [one]: original(two) })).includes(one));
  }
});

test('a segment was set back to what it was earlier, with its checkpoints: the copies tell', async () => {
  const copy = new Copy([...segments, STATEMENTS]);
  const earlier = linesOf(STATEMENTS).slice(0, -1);
  const name = segments.at(-1) as string;
  const setBack = { [name]: joined(linesOf(name).slice(0, 1)), [STATEMENTS]: joined(earlier) };
  const problems = await copy.verifyWith(setBack, copies);
  assert.deepEqual(new Set(filesIn(problems)), new Set([name, STATEMENTS]));
});

test('any byte of a copy was changed: it is named', async () => {
  const copy = new Copy([]);
  const path = join(root, 'anchor.json');
  const [name = ''] = readdirSync(copies);
  const line = readFileSync(join(copies, name), 'latin1');
  for (let at = 0; at < line.length - 1; at++) {
    writeFileSync(path, Buffer.from(withOtherByte(line, at), 'latin1'));
    assert.ok(filesIn(await copy.verify(path)).includes(path), `byte ${at}`);
  }
});

function filesIn(problems: readonly Problem[]): string[] {
  return problems.map(({ file }) => file);
}
