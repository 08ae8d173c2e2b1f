import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { applyRanges, planRanges, targetOf } from '../../../test/support/ranges.ts';
import { aggregate } from '../../core/aggregate.ts';
import { Cidr, Ip } from '../../core/ip.ts';
import { FORMATS } from '../file-formats/formats.ts';

async function folder(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-file-'));
  t.after(() => rm(dir, { recursive: true }));
  const path = join(dir, 'list');
  const target = (format: string, more = '') =>
    targetOf(`file: { path: "${path}", format: ${format}, ${more} }`);
  return { dir, path, target, text: () => readFile(path, 'utf8') };
}

const NETWORKS = ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32'];
const HEAD = '# sekisho:rds: what is written by hand here is lost\n';

const WRITTEN: Readonly<Record<string, string>> = {
  plain: `${HEAD}10.0.0.0/8\n192.0.2.7/32\n2001:db8::/32\n`,
  nginx: `${HEAD}allow 10.0.0.0/8;\nallow 192.0.2.7/32;\nallow 2001:db8::/32;\n`,
  squid: `${HEAD}acl rds src 10.0.0.0/8\nacl rds src 192.0.2.7/32\nacl rds src 2001:db8::/32\n`,
  haproxy: `${HEAD}10.0.0.0/8 rds\n192.0.2.7/32 rds\n2001:db8::/32 rds\n`,
  json: '{\n  "by": "sekisho:rds",\n  "ipv4": [\n    "10.0.0.0/8",\n    "192.0.2.7/32"\n  ],\n  "ipv6": [\n    "2001:db8::/32"\n  ]\n}\n',
};

for (const [format, expected] of Object.entries(WRITTEN)) {
  test(`a file of the form ${format} is written, and written again only where it changes`, async (t) => {
    const { target, text, path } = await folder(t);
    await applyRanges(target(format), NETWORKS);
    assert.equal(await text(), expected);
    const { ino } = await stat(path);
    await applyRanges(target(format), NETWORKS);
    assert.equal((await stat(path)).ino, ino);
    const { plan } = await applyRanges(target(format), ['10.0.0.0/8', '198.51.100.0/24']);
    assert.deepEqual([plan.keep.length, plan.add.length, plan.remove.length], [1, 1, 2]);
    assert.match(await text(), /198\.51\.100\.0\/24/);
  });
}

test('every form gives back what it was given', () => {
  const network = fc
    .tuple(fc.constantFrom(4, 16), fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.nat(128))
    .map(([length, bytes, bits]) =>
      Cidr.around(Ip.fromBytes(bytes.subarray(0, length)), Math.min(bits, length * 8)),
    );
  fc.assert(
    fc.property(fc.array(network), fc.constantFrom(...Object.values(FORMATS)), (given, format) => {
      const networks = aggregate(given);
      const text = format.write(networks, 'sekisho:rds', 'rds');
      assert.deepEqual(
        format.read(text, 'sekisho:rds'),
        networks.map((one) => one.text),
      );
      assert.equal(format.read(text, 'sekisho:other'), undefined);
    }),
  );
});

test('a file that somebody else wrote stays as it is', async (t) => {
  const { path, target, text } = await folder(t);
  await writeFile(path, '192.0.2.0/24\n');
  await assert.rejects(applyRanges(target('plain'), NETWORKS), {
    code: 'ranges-conflict',
    message: /was not written by this target as plain; move it away/,
  });
  assert.equal(await text(), '192.0.2.0/24\n');
});

test('an empty file is taken over', async (t) => {
  const { path, target, text } = await folder(t);
  await writeFile(path, '');
  await applyRanges(target('plain'), NETWORKS);
  assert.equal(await text(), WRITTEN.plain);
});

test('mode and owner of the file stay, and nothing lies beside it', async (t) => {
  const { dir, path, target } = await folder(t);
  await applyRanges(target('plain'), NETWORKS);
  await chmod(path, 0o640);
  await applyRanges(target('plain', 'reload: ["true"]'), ['10.0.0.0/8']);
  assert.equal((await stat(path)).mode & 0o777, 0o640);
  assert.deepEqual(await readdir(dir), ['list']);
});

test('what a killed apply left beside the file goes away with the next one', async (t) => {
  const { dir, target } = await folder(t);
  await writeFile(join(dir, '.list.0b9c7a52-3a4e-4d0c-9a51-3f2d5a1b6c7d'), 'half of a');
  await writeFile(join(dir, '.list.swp'), 'of an editor');
  await applyRanges(target('plain'), NETWORKS);
  assert.deepEqual(await readdir(dir), ['.list.swp', 'list']);
});

test('a file that its program refuses is put back, and the program not reloaded', async (t) => {
  const { dir, path, target, text } = await folder(t);
  await applyRanges(target('plain'), ['10.0.0.0/8']);
  const before = await text();
  const refusing = target(
    'plain',
    `check: [sh, -c, "! grep 192 ${path} && echo line 3 is wrong >&2"], reload: [touch, "${dir}/reloaded"]`,
  );
  await assert.rejects(applyRanges(refusing, NETWORKS), {
    code: 'ranges-conflict',
    message: /the file is refused, and the one before is in place again: sh -c .* failed/,
  });
  assert.equal(await text(), before);
  assert.deepEqual(await readdir(dir), ['list']);
});

test('a first file that its program refuses goes away again', async (t) => {
  const { dir, target } = await folder(t);
  await assert.rejects(applyRanges(target('plain', 'check: ["false"]'), NETWORKS));
  assert.deepEqual(await readdir(dir), []);
});

test('a reload that failed is done by the next apply, though the file is right by then', async (t) => {
  const { dir, target } = await folder(t);
  const config = target('plain', `reload: [sh, -c, "mv ${dir}/broken ${dir}/mended"]`);
  await assert.rejects(applyRanges(config, NETWORKS), { code: 'ranges-unavailable' });
  const { plan, unsettled } = await planRanges(config, NETWORKS);
  assert.equal(plan.keep.length, 3);
  assert.deepEqual(unsettled, [`sh -c mv ${dir}/broken ${dir}/mended`]);
  await writeFile(join(dir, 'broken'), '');
  await applyRanges(config, NETWORKS);
  assert.deepEqual((await readdir(dir)).sort(), ['list', 'mended']);
});

test('an apply whose programs fail at any call leaves the old file or the new one, and the next one completes it', async (t) => {
  const { dir, target, text } = await folder(t);
  const counter = join(dir, 'counter');
  const script = `n=$(($(cat ${counter}) + 1)); echo $n > ${counter}; [ $n != "$(cat ${dir}/fail)" ]`;
  const config = target('plain', `check: [sh, -c, '${script}'], reload: [sh, -c, '${script}']`);
  const fail = async (call: number) => {
    await writeFile(counter, '0');
    await writeFile(join(dir, 'fail'), String(call));
  };
  for (const call of [1, 2]) {
    await fail(0);
    await applyRanges(config, ['10.0.0.0/8']);
    await fail(call);
    await assert.rejects(applyRanges(config, NETWORKS));
    assert.equal(await text(), call === 1 ? `${HEAD}10.0.0.0/8\n` : WRITTEN.plain);
    await fail(0);
    await applyRanges(config, NETWORKS);
    assert.equal(await text(), WRITTEN.plain);
    assert.equal(await readFile(counter, 'utf8'), '2\n');
  }
});

test('a folder that is not there, or a program that is not, is told', async (t) => {
  const { path, target } = await folder(t);
  const nowhere = targetOf(`file: { path: "${path}/no/list", format: plain }`);
  await writeFile(path, WRITTEN.plain as string);
  await assert.rejects(applyRanges(nowhere, NETWORKS), {
    code: 'ranges-unavailable',
    message: /ENOTDIR/,
  });
  await assert.rejects(applyRanges(target('plain', 'reload: [no-such-program]'), ['10.0.0.0/8']), {
    message: /no-such-program cannot be run/,
  });
});
