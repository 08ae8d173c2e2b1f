import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FORMATS, formatOf } from './formats.ts';
import type { EventAnswer, EventFormat, EventPlace, EventRequest, Field } from './message.ts';
import { decodedParameters, rawParameters } from './query.ts';

const PLACE: EventPlace = {
  requestId: '8c4f2b1e-0000-4000-8000-000000000001',
  now: Date.UTC(2026, 10, 26),
  region: 'ap-northeast-1',
  account: '123456789012',
};

const formats = Object.values(FORMATS).map((format): [string, EventFormat] => [
  format.name,
  format,
]);

const request = (more: Partial<EventRequest> = {}): EventRequest => ({
  method: 'GET',
  path: '/',
  query: undefined,
  headers: [['host', 'api.example.com']],
  body: Buffer.alloc(0),
  client: '203.0.113.7',
  ...more,
});

const throughJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

function arrived(format: EventFormat, sent: EventRequest): EventRequest {
  return format.readRequest(throughJson(format.writeRequest(sent, PLACE)));
}

const name = fc.stringMatching(/^x-[a-z0-9]{1,6}$/);
const value = fc.stringMatching(/^[!-+\--~]{1,12}$/);
const fields = fc.array(fc.tuple(name, value), { maxLength: 6 });
const part = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._~-]{0,6}$/),
  fc.string({ unit: 'grapheme', maxLength: 4 }).map((text) => encodeURIComponent(text)),
);
const query = fc.oneof(
  fc.constant(undefined),
  fc
    .array(fc.tuple(part, part), { minLength: 1, maxLength: 5 })
    .map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
);
const path = fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const body = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.string().map((text) => Buffer.from(text)),
);
const type = fc.constantFrom(
  'text/plain',
  'application/json',
  'image/png',
  'application/x-www-form-urlencoded',
  undefined,
);
const requests = fc.record({ path, query, fields, body, type });

const sorted = <T extends readonly string[]>(pairs: readonly T[]) =>
  pairs.map((pair) => pair.join('\0')).sort();

/** As pairs, each value of a joined one by itself. */
const split = (pairs: readonly Field[]) =>
  sorted(
    pairs.flatMap(([key, text]) => text.split(',').map((one) => [key.toLowerCase(), one.trim()])),
  );

for (const [label, format] of formats) {
  const single = label === 'alb';

  test(`${label}: what is written is recognised, and read as what was sent`, () => {
    fc.assert(
      fc.property(requests, (made) => {
        const headers: Field[] = [['host', 'api.example.com'], ...made.fields];
        if (made.type !== undefined) headers.push(['content-type', made.type]);
        const sent = request({ ...made, method: 'POST', headers, body: Buffer.from(made.body) });
        const event = throughJson(format.writeRequest(sent, PLACE));
        assert.equal(formatOf(event).name, label);
        const read = format.readRequest(event);
        assert.deepEqual([read.method, read.path], [sent.method, sent.path]);
        assert.deepEqual(read.body, sent.body);
        if (single) return;
        assert.deepEqual(
          sorted(decodedParameters(read.query)),
          sorted(decodedParameters(sent.query)),
        );
        const own = read.headers.filter(([key]) => key !== 'x-forwarded-for');
        assert.deepEqual(split(own), split(headers));
      }),
    );
  });

  test(`${label}: an answer comes back as it was`, () => {
    fc.assert(
      fc.property(
        fields,
        body,
        type,
        fc.integer({ min: 200, max: 599 }),
        (made, bytes, of, status) => {
          const headers: Field[] = of === undefined ? made : [...made, ['content-type', of]];
          const answer: EventAnswer = { status, headers, body: Buffer.from(bytes) };
          const read = format.readAnswer(throughJson(format.writeAnswer(answer)));
          assert.equal(read.status, status);
          assert.deepEqual(read.body, answer.body);
          if (!single) assert.deepEqual(split(read.headers), split(headers));
        },
      ),
    );
  });

  test(`${label}: what is no response of this form is told as such`, () => {
    const wrong: unknown[] = [
      { statusCode: 'x', body: '' },
      { statusCode: 999 },
      { statusCode: 200, body: 'é', isBase64Encoded: true },
      { statusCode: 200, body: 5 },
    ];
    if (label !== 'apigateway-v2')
      wrong.push('text', null, {}, { statusCode: 200, multiValueHeaders: { a: 'b' } });
    for (const response of wrong) {
      assert.throws(
        () => format.readAnswer(response),
        { code: 'event-invalid' },
        JSON.stringify(response),
      );
    }
  });
}

const COOKIES: Field[] = [
  ['set-cookie', 'a=1; Expires=Thu, 26 Nov 2026 08:00:00 GMT'],
  ['set-cookie', 'b=2'],
];

test('several cookies are several everywhere but where a map has one value', () => {
  for (const [label, format] of formats) {
    const answer = { status: 200, headers: COOKIES, body: Buffer.alloc(0) };
    const read = format.readAnswer(throughJson(format.writeAnswer(answer)));
    assert.deepEqual(read.headers, label === 'alb' ? COOKIES.slice(0, 1) : COOKIES, label);
  }
});

test('v1 says null for what is absent, and gives the last value and all of them', () => {
  const empty = FORMATS['apigateway-v1'].writeRequest(request(), PLACE);
  const absent = [
    'queryStringParameters',
    'multiValueQueryStringParameters',
    'body',
    'pathParameters',
  ];
  assert.deepEqual(
    absent.map((key) => empty[key]),
    [null, null, null, null],
  );
  const two = FORMATS['apigateway-v1'].writeRequest(request({ query: 'a=1&a=%20x+y' }), PLACE);
  assert.deepEqual(two.queryStringParameters, { a: ' x y' });
  assert.deepEqual(two.multiValueQueryStringParameters, { a: ['1', ' x y'] });
});

test('v1 takes no response with a key that it does not know', () => {
  const { readAnswer } = FORMATS['apigateway-v1'];
  assert.throws(() => readAnswer({ statusCode: 200, status: 200 }), { code: 'event-invalid' });
  const both = {
    statusCode: 200,
    headers: { a: '1', b: '2' },
    multiValueHeaders: { a: ['1', '3'] },
  };
  assert.deepEqual(readAnswer(both).headers, [
    ['a', '1'],
    ['a', '3'],
    ['b', '2'],
  ]);
});

test('v2 leaves out what is absent, lowers names, joins values and sets cookies apart', () => {
  const { writeRequest } = FORMATS['apigateway-v2'];
  const bare = writeRequest(request(), PLACE);
  assert.deepEqual(
    ['cookies', 'queryStringParameters', 'body'].filter((key) => key in bare),
    [],
  );
  const headers: Field[] = [
    ['X-A', '1'],
    ['x-a', '2'],
    ['Cookie', 'k=v; l=w'],
  ];
  const event = writeRequest(request({ headers, query: 'a=1&a=2&b=%2F' }), PLACE);
  assert.deepEqual(event.headers, { 'x-a': '1,2' });
  assert.deepEqual(event.cookies, ['k=v', 'l=w']);
  assert.deepEqual(event.queryStringParameters, { a: '1,2', b: '/' });
  assert.equal(event.rawQueryString, 'a=1&a=2&b=%2F');
  assert.deepEqual(FORMATS['apigateway-v2'].readRequest(event).headers.at(-1), [
    'cookie',
    'k=v; l=w',
  ]);
});

for (const [contentType, plain] of [
  ['text/html', true],
  ['application/json; charset=utf-8', true],
  ['application/xml', true],
  ['application/javascript', true],
  ['application/x-www-form-urlencoded', false],
  ['application/jsonp', false],
  [undefined, false],
] as const) {
  test(`v2 and ALB carry a body of type ${contentType} as ${plain ? 'text' : 'base64'}`, () => {
    const headers: Field[] = contentType === undefined ? [] : [['content-type', contentType]];
    for (const label of ['apigateway-v2', 'alb', 'alb-multi-value'] as const) {
      const event = FORMATS[label].writeRequest(
        request({ headers, body: Buffer.from('a=b') }),
        PLACE,
      );
      assert.equal(event.isBase64Encoded, !plain, label);
      assert.equal(event.body, plain ? 'a=b' : 'YT1i', label);
    }
  });
}

test('v2 takes a value without a status for a body of JSON', () => {
  const { readAnswer } = FORMATS['apigateway-v2'];
  for (const [value, text] of [
    [{ a: 1 }, '{"a":1}'],
    ['hi', 'hi'],
    [[1], '[1]'],
    [null, 'null'],
  ] as const) {
    const answer = readAnswer(value);
    assert.deepEqual([answer.status, answer.body.toString()], [200, text]);
    assert.deepEqual(answer.headers, [['content-type', 'application/json']]);
  }
});

test('ALB decodes no query, and has maps of one kind', () => {
  const sent = request({ query: 'a=%2F&a=x+y&b' });
  const multi = FORMATS['alb-multi-value'].writeRequest(sent, PLACE);
  assert.deepEqual(multi.multiValueQueryStringParameters, { a: ['%2F', 'x+y'], b: [''] });
  assert.deepEqual(
    ['headers', 'queryStringParameters'].filter((key) => key in multi),
    [],
  );
  const single = FORMATS.alb.writeRequest(sent, PLACE);
  assert.deepEqual(single.queryStringParameters, { a: 'x+y', b: '' });
  assert.deepEqual(
    ['multiValueHeaders'].filter((key) => key in single),
    [],
  );
  assert.deepEqual(
    rawParameters(arrived(FORMATS['alb-multi-value'], sent).query),
    rawParameters(sent.query),
  );
});

test('the client behind a balancer is the one that the balancer itself names', () => {
  const headers: Field[] = [['X-Forwarded-For', '10.0.0.1, 192.0.2.1']];
  const read = arrived(FORMATS['alb-multi-value'], request({ headers }));
  assert.equal(read.client, '203.0.113.7');
});

test('ALB takes no response with the other kind of map', () => {
  const multi = { statusCode: 200, multiValueHeaders: { a: ['b'] } };
  assert.throws(() => FORMATS.alb.readAnswer(multi), { code: 'event-invalid' });
  const single = { statusCode: 200, headers: { a: 'b' } };
  assert.throws(() => FORMATS['alb-multi-value'].readAnswer(single), { code: 'event-invalid' });
});

test('an event of ssm-sign-proxy 0.0.3 is read, and its answer is in the form that it takes', () => {
  // As the structs of its daemon are encoded: empty maps are left out, the target group has no name.
  const event = {
    httpMethod: 'POST',
    path: '/foo%20bar',
    queryStringParameters: { q: 'b c' },
    multiValueQueryStringParameters: { q: ['a&', 'b c'] },
    headers: { Accept: '*/*', Host: 'api.github.com' },
    multiValueHeaders: { Accept: ['text/html', '*/*'], Host: ['api.github.com'] },
    requestContext: { elb: {} },
    isBase64Encoded: true,
    body: '/w==',
  };
  const format = formatOf(event);
  const { client, ...read } = format.readRequest(event);
  assert.deepEqual(read, {
    method: 'POST',
    path: '/foo%20bar',
    query: 'q=a%26&q=b%20c',
    headers: [
      ['Accept', 'text/html'],
      ['Accept', '*/*'],
      ['Host', 'api.github.com'],
    ],
    body: Buffer.from([0xff]),
  });
  assert.equal(client, undefined);
  const headers: Field[] = [
    ['X-A', '1'],
    ['X-A', '2'],
  ];
  assert.deepEqual(format.writeAnswer({ status: 200, headers, body: Buffer.from('ok') }), {
    statusCode: 200,
    statusDescription: '200 OK',
    headers: { 'X-A': '1' },
    multiValueHeaders: { 'X-A': ['1', '2'] },
    body: 'ok',
    isBase64Encoded: false,
  });
  const bare = {
    statusCode: 204,
    statusDescription: '204 No Content',
    headers: { A: 'b' },
    body: '',
  };
  assert.deepEqual(format.readAnswer(bare).headers, [['A', 'b']]);
});

test('a query goes to our own function as it was sent', () => {
  const sent = request({ query: 'b=1&a&b=2+3&c=%2f' });
  assert.equal(arrived(FORMATS['signing-proxy'], sent).query, sent.query);
});

test('what is no event with a request is told as such', () => {
  for (const event of [
    null,
    [],
    'x',
    {},
    { Records: [] },
    { version: '2.0' },
    { httpMethod: 'GET' },
  ]) {
    assert.throws(() => formatOf(event).readRequest(event as never), { code: 'event-invalid' });
  }
});
