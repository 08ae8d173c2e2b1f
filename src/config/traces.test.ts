import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadText, warningsOf } from '../../test/support/config.ts';

function otlpOf(more: string) {
  return loadText(`traces: { otlp: { ${more} } }`).config.traces.otlp;
}

test('without the section there are no traces', () => {
  assert.equal(loadText('').config.traces.otlp, undefined);
});

test('a URL without a path gets the one that OTLP has, any other stays', () => {
  assert.equal(otlpOf('url: "https://c.example:4318"')?.url, 'https://c.example:4318/v1/traces');
  assert.equal(otlpOf('url: "https://c.example/otlp/x"')?.url, 'https://c.example/otlp/x');
});

test('every exchange has a span unless a ratio says less', () => {
  assert.equal(otlpOf('url: "https://c.example"')?.ratio, 1);
  assert.equal(otlpOf('url: "https://c.example", ratio: 0')?.ratio, 0);
  assert.equal(otlpOf('url: "https://c.example", ratio: 0.01')?.ratio, 0.01);
});

test('headers are plain where nothing is secret about them, else references', () => {
  const otlp = otlpOf(
    'url: "https://c.example", headers: { X-Scope-OrgID: a, Api-Key: { env: K } }',
  );
  assert.equal(otlp?.headers.get('x-scope-orgid'), 'a');
  const key = otlp?.headers.get('api-key');
  assert.ok(typeof key === 'object' && key.from === 'env' && key.variable === 'K');
});

test('a secret may go in clear to a collector on the same host', () => {
  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    const otlp = otlpOf(`url: "http://${host}:4318", headers: { api-key: { env: K } }`);
    assert.equal(otlp?.headers.size, 1, host);
  }
});

test('a literal secret is warned of', () => {
  const otlp = 'url: "https://c.example", headers: { api-key: { literal: hunter2 } }';
  assert.match(warningsOf(`traces: { otlp: { ${otlp} } }`).join(), /a secret stands in this file/);
});
