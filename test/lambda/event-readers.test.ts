import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { configure } from '@codegenie/serverless-express';
import type { ALBEvent, APIGatewayProxyEvent, APIGatewayProxyEventV2, Context } from 'aws-lambda';
import serverlessHttp from 'serverless-http';
import { FORMATS, type FormatName } from '../../src/wire/lambda-events/formats.ts';
import type { EventPlace, EventRequest } from '../../src/wire/lambda-events/message.ts';

const PLACE: EventPlace = {
  requestId: '8c4f2b1e-0000-4000-8000-000000000001',
  now: Date.UTC(2026, 10, 26),
  region: 'ap-northeast-1',
  account: '123456789012',
};

const BINARY = Buffer.from([0, 0xff, 0x80, 0x0a]);
const TEXT = Buffer.from('{"grüße":"関所"}');

interface Seen {
  readonly method: string | undefined;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly header: string | undefined;
  readonly cookie: string | undefined;
  /** As programs find it: in the connection, or in what the balancer added. */
  readonly client: string | undefined;
  readonly body: string;
}

/** What a program in a function sees of a request, which it answers with. */
async function tell(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk as Buffer));
  const url = new URL(request.url ?? '', 'http://x');
  const seen: Seen = {
    method: request.method,
    path: url.pathname,
    query: [...url.searchParams],
    header: request.headers['x-one']?.toString(),
    cookie: request.headers.cookie,
    client: request.headers['x-forwarded-for']?.toString() ?? request.socket?.remoteAddress,
    body: Buffer.concat(chunks).toString('base64'),
  };
  response.statusCode = 201;
  response.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2']);
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(seen));
}

type Run = (event: object) => Promise<unknown>;

const READERS: Readonly<Record<string, Run>> = {
  'serverless-http': async (event) => {
    const run = serverlessHttp((request: object, response: object) =>
      tell(request as IncomingMessage, response as ServerResponse),
    );
    return run(event, {});
  },
  '@codegenie/serverless-express': async (event) => {
    const server = createServer(tell);
    const app = server.listeners('request')[0] as never;
    const run = configure({ app });
    return run(event, {} as Context, () => {});
  },
};

const request: EventRequest = {
  method: 'PUT',
  path: '/a%20b/%2F/c%25',
  query: 'q=1&q=%2F%20x&p=%C3%A9&e=&plus=a+b',
  headers: [
    ['Host', 'api.example.com'],
    ['X-One', 'first'],
    ['X-One', 'last'],
    ['Cookie', 'k=v; l=w'],
  ],
  body: Buffer.alloc(0),
  client: '2001:db8::7',
};

/** What is that of function URLs is the second form of API Gateway. */
const FORMATS_READ: readonly FormatName[] = [
  'apigateway-v1',
  'apigateway-v2',
  'alb',
  'alb-multi-value',
  'signing-proxy',
];

const REPEATED = [
  ['q', '1'],
  ['q', '/ x'],
] as const;

for (const [reader, run] of Object.entries(READERS)) {
  for (const name of FORMATS_READ) {
    const format = FORMATS[name];
    for (const [label, body, type] of [
      ['text', TEXT, 'application/json'],
      ['binary', BINARY, 'application/octet-stream'],
    ] as const) {
      test(`${reader} reads a request with ${label} in an event of ${name}, and answers in that form`, async () => {
        const headers = [...request.headers, ['Content-Type', type] as const];
        const event = JSON.parse(
          JSON.stringify(format.writeRequest({ ...request, headers, body }, PLACE)),
        );
        const answer = format.readAnswer(JSON.parse(JSON.stringify(await run(event))));
        assert.equal(answer.status, 201);
        const seen = JSON.parse(answer.body.toString()) as Seen;
        assert.equal(seen.method, 'PUT');
        assert.equal(seen.path, '/a%20b/%2F/c%25');
        // In a map with one value to a name there is room for the last alone; some readers look at no other map.
        assert.match(seen.header ?? '', name === 'alb' ? /^last$/ : /^(?:first, ?)?last$/);
        assert.equal(seen.cookie, 'k=v; l=w');
        assert.equal(seen.body, body.toString('base64'));
        assert.deepEqual(seen.query, [
          ...(name === 'alb' ? REPEATED.slice(1) : REPEATED),
          ['p', 'é'],
          ['e', ''],
          ['plus', 'a b'],
        ]);
        // An agent names no client: it is the only one that there is.
        assert.equal(
          seen.client || undefined,
          name === 'signing-proxy' ? undefined : request.client,
        );
        const cookies = answer.headers.filter(([key]) => key.toLowerCase() === 'set-cookie');
        if (name === 'alb') assert.ok(cookies.length < 2);
        else if (name !== 'signing-proxy') assert.equal(cookies.length, 2);
      });
    }
  }
}

test('the events have the shapes that the types of AWS say', () => {
  const sent = { ...request, body: TEXT };
  const v1 = FORMATS['apigateway-v1'].writeRequest(sent, PLACE) as unknown as APIGatewayProxyEvent;
  assert.equal(v1.requestContext.identity.sourceIp, '2001:db8::7');
  const v2 = FORMATS['apigateway-v2'].writeRequest(
    sent,
    PLACE,
  ) as unknown as APIGatewayProxyEventV2;
  assert.equal(v2.requestContext.http.sourceIp, '2001:db8::7');
  const alb = FORMATS['alb-multi-value'].writeRequest(sent, PLACE) as unknown as ALBEvent;
  assert.equal(alb.multiValueHeaders?.['x-forwarded-for']?.[0], '2001:db8::7');
});
