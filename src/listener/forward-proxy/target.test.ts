import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { destinationText } from '../../core/destination.ts';
import { Refusal } from '../../core/refusal.ts';
import { parseRequestHead } from '../../wire/http1/request-head.ts';
import { readTarget } from './target.ts';

const LIMITS = { bytes: 65536, fields: 100 };

function head(text: string) {
  return parseRequestHead(
    Buffer.from(`${text.trim().replaceAll('\n', '\r\n')}\r\n\r\n`, 'latin1'),
    LIMITS,
  );
}

interface Row {
  readonly head: string;
  readonly destination?: string;
  readonly originForm?: string;
  readonly path?: string;
  readonly refused?: string;
}

const ROWS: Record<string, Row> = {
  'absolute form': {
    head: 'GET http://good.com/a?b=/c HTTP/1.1\nHost: good.com',
    destination: 'good.com:80',
    originForm: '/a?b=/c',
    path: '/a',
  },
  'absolute form without a path': {
    head: 'GET http://good.com?x HTTP/1.1\nHost: good.com',
    destination: 'good.com:80',
    originForm: '/?x',
    path: '/',
  },
  'absolute form with a port': {
    head: 'GET HTTP://Good.com:8080 HTTP/1.1\nHost: good.com:8080',
    destination: 'good.com:8080',
    originForm: '/',
    path: '/',
  },
  'OPTIONS of a whole server': {
    head: 'OPTIONS http://good.com HTTP/1.1\nHost: good.com',
    destination: 'good.com:80',
    originForm: '*',
    path: '*',
  },
  'absolute form on HTTP/1.0 without Host': {
    head: 'GET http://good.com/ HTTP/1.0',
    destination: 'good.com:80',
    originForm: '/',
    path: '/',
  },
  'origin form takes its destination from Host': {
    head: 'GET /x HTTP/1.1\nHost: good.com:81',
    destination: 'good.com:81',
    originForm: '/x',
    path: '/x',
  },
  CONNECT: {
    head: 'CONNECT good.com:443 HTTP/1.1\nHost: good.com',
    destination: 'good.com:443',
    originForm: '',
  },
  'origin form without Host': { head: 'GET / HTTP/1.0', refused: 'request-invalid' },
  'another Host': {
    head: 'GET http://good.com/ HTTP/1.1\nHost: bad.com',
    refused: 'host-mismatch',
  },
  'another port in Host': {
    head: 'GET http://good.com/ HTTP/1.1\nHost: good.com:81',
    refused: 'host-mismatch',
  },
  'another port in the Host of a CONNECT': {
    head: 'CONNECT good.com:443 HTTP/1.1\nHost: good.com:80',
    refused: 'host-mismatch',
  },
  'an https target': {
    head: 'GET https://good.com/ HTTP/1.1\nHost: good.com',
    refused: 'request-invalid',
  },
  'the asterisk': { head: 'OPTIONS * HTTP/1.1\nHost: good.com', refused: 'request-invalid' },
  userinfo: {
    head: 'GET http://u:p@good.com/ HTTP/1.1\nHost: good.com',
    refused: 'request-invalid',
  },
  'a fragment': {
    head: 'GET http://good.com/#x HTTP/1.1\nHost: good.com',
    refused: 'request-invalid',
  },
  'an empty Host': { head: 'GET http://good.com/ HTTP/1.1\nHost:', refused: 'request-invalid' },
};

for (const [name, row] of Object.entries(ROWS)) {
  test(`a request target is read: ${name}`, () => {
    if (row.refused !== undefined)
      return assertRefused(() => readTarget(head(row.head)), row.refused);
    const target = readTarget(head(row.head));
    assert.equal(destinationText(target.destination), row.destination);
    assert.equal(target.originForm, row.originForm);
    assert.equal(target.request?.path, row.path);
  });
}

const WITHIN = {
  ...readTarget(head('CONNECT good.com:80 HTTP/1.1\nHost: good.com:80')).destination,
};

test('inside a CONNECT to port 80 only the host of the CONNECT may be asked for', () => {
  const inner = readTarget(head('GET /x HTTP/1.1\nHost: good.com'), WITHIN);
  assert.deepEqual(inner.destination.scheme, 'http');
  assertRefused(() => readTarget(head('GET /x HTTP/1.1\nHost: bad.com'), WITHIN), 'host-mismatch');
  assertRefused(
    () => readTarget(head('GET http://bad.com/ HTTP/1.1\nHost: bad.com'), WITHIN),
    'host-mismatch',
  );
  assertRefused(
    () => readTarget(head('CONNECT good.com:80 HTTP/1.1\nHost: good.com:80'), WITHIN),
    'request-invalid',
  );
});

const table = JSON.parse(
  readFileSync(new URL('../../../test/cases/connect-targets.json', import.meta.url), 'utf8'),
);

for (const { target, status } of table.cases as { target: string; status: number }[]) {
  test(`CONNECT ${JSON.stringify(target)} is ${status === 400 ? 'refused for its form' : 'a destination'}`, () => {
    const read = () => readTarget(head(`CONNECT ${target} HTTP/1.0`));
    if (status === 400) assert.throws(read);
    else assert.equal(readTarget(head(`CONNECT ${target} HTTP/1.0`)).destination.scheme, 'tunnel');
  });
}

function assertRefused(action: () => unknown, reason: string): void {
  assert.throws(action, (error: unknown) => error instanceof Refusal && error.reason === reason);
}
