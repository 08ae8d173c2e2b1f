import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { build } from '../bench/build.ts';
import { loadHttp } from '../bench/load.ts';
import type { ContestantResult } from '../bench/measure.ts';
import { needs } from './support/programs.ts';
import { ROOT } from './support/sources.ts';

const work = mkdtempSync(join(tmpdir(), 'sekisho-bench-test-'));
after(() => rmSync(work, { recursive: true, force: true }));

test('one row against one peer prints its ratio and writes its figures', {
  skip: needs('squid-openssl', 'nginx-light', 'build-essential'),
}, () => {
  const out = join(work, 'result.json');
  const row = ['plain-http', '--peer', 'squid', '--quick', '--out', out];
  const options = { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' } as const;
  const printed = execFileSync(process.execPath, [join('bench', 'run.ts'), ...row], options);
  assert.match(printed, /^\| squid +\|.* [\d.]+ \([\d.]+-[\d.]+\) \|$/m);
  assert.match(printed, /^- (reached|MISSED): requests per CPU-second, against squid: /m);
  assert.match(printed, /^- (the load generator is the faster one|GENERATOR SATURATED)/m);
  const { versions, rows } = JSON.parse(readFileSync(out, 'utf8'));
  assert.deepEqual(Object.keys(versions), ['sekisho', 'squid']);
  const [{ contestants }] = rows;
  for (const { name, figures } of contestants) {
    assert.equal(figures.failed.max, 0, name);
    assert.ok(figures.rate.min > 0, name);
  }
});

test('requests take on the token in the gateway and in mitmproxy, and none fails', {
  skip: needs('mitmproxy', 'nginx-light', 'build-essential'),
}, () => {
  const out = join(work, 'injected.json');
  const row = ['injected', '--peer', 'mitmproxy', '--quick', '--out', out];
  const options = { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' } as const;
  const printed = execFileSync(process.execPath, [join('bench', 'run.ts'), ...row], options);
  assert.match(printed, /^- (reached|MISSED): requests per CPU-second, against mitmproxy: /m);
  assert.match(printed, /^- (reached|MISSED): CPU of a request, against plain HTTP: /m);
  const [{ contestants }] = JSON.parse(readFileSync(out, 'utf8')).rows;
  const served = contestants.filter(
    ({ figures }: ContestantResult) => figures.failed?.max === 0 && (figures.rate?.min ?? 0) > 0,
  );
  assert.deepEqual(
    served.map(({ name }: ContestantResult) => name),
    ['sekisho', 'mitmproxy', 'sekisho, plain'],
  );
});

test('a server that closes every connection without a word is measured, not failed', {
  skip: needs('build-essential'),
}, async (t) => {
  build();
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(answer));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const { units, failed, resent } = await loadHttp({ port, request, connections: 4, seconds: 0.2 });
  assert.ok(units > 4);
  assert.equal(failed, 0);
  assert.ok(resent > 0);
});
