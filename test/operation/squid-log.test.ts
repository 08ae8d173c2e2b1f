import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { RawClient, run } from '../support/clients.ts';
import { startTestGateway } from '../support/gateway.ts';
import { needs } from '../support/programs.ts';
import { startHttpUpstream, startRawUpstream } from '../support/upstreams.ts';

const skip = needs('calamaris');

test("Calamaris, which reads Squid's native log, reads every line of ours as what it was", {
  skip,
}, async (t) => {
  const upstream = await startHttpUpstream();
  const echo = await startRawUpstream((socket) => socket.pipe(socket));
  const gateway = await startTestGateway(`
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals: { local: { identify: [{ header: { name: X-Id, value: { literal: one } } }] } }
rules:
  - { name: api, allow: [local], to: [api.localhost], ports: [${upstream.port}], addresses: [127.0.0.1] }
  - { name: raw, allow: [local], to: [raw.localhost], ports: [${echo.port}], addresses: [127.0.0.1], tls: off }
audit: { also: [{ squidLog: access.log }] }
`);
  t.after(() => Promise.all([upstream.close(), echo.close(), gateway.stop()]));
  const id = 'X-Id: one\r\n';
  const get = (path: string, fields: string, host = `api.localhost:${upstream.port}`) =>
    `GET http://${host}${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`;
  const tunnel = `CONNECT raw.localhost:${echo.port} HTTP/1.1\r\nHost: raw.localhost\r\n${id}\r\n`;
  const asked: readonly (readonly [string, RegExp])[] = [
    [get('/', id), /hello/],
    [get('/a?b=c', id), /hello/],
    [get('/', ''), / 407 /],
    [get('/', id, 'other.localhost'), / 403 /],
    ['GET nonsense HTTP/1.1\r\n\r\n', / 400 /],
    [tunnel, / 200 /],
  ];
  for (const [bytes, until] of asked) {
    const client = new RawClient(gateway.port).send(bytes);
    await client.until(until);
    client.close();
  }
  await gateway.outcome(({ action }) => action === 'CONNECT');
  await gateway.gateway.stop({ notice: false });

  const log = await readFile(join(gateway.dir, 'access.log'), 'utf8');
  const { code, stdout } = await run('calamaris', ['-a', '-u'], { input: log });
  assert.equal(code, 0);
  const figure = (name: string) =>
    new RegExp(`^ *${name}\\S*(?: +\\D+)? +(\\d+)`, 'm').exec(stdout)?.[1];
  assert.deepEqual(
    ['lines parsed:', 'invalid lines:', 'TCP_MISS', 'TCP_DENIED', 'TCP_TUNNEL'].map(figure),
    [String(asked.length), '0', '2', '3', '1'],
    log,
  );
  assert.equal(figure('HIER_DIRECT'), '3');
  assert.match(stdout, /^local@\S+ +4 /m);
});
