import assert from 'node:assert/strict';
import { createServer, request as httpRequest, METHODS } from 'node:http';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { BodyReader } from './body.ts';
import type { Fields } from './fields.ts';
import { requestFraming, responseFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { HeadReader } from './head-reader.ts';
import { parseRequestHead } from './request-head.ts';
import { parseResponseHead } from './response-head.ts';

// Whatever we accept, the parser of Node must frame alike: what two readers take apart differently is how a request is
// smuggled past the one that decides.

const LIMITS = { bytes: 16 * 1024, fields: 100 };

/** One message as a reader sees it. Fields as `name`, `value`, `name`, ... */
interface Seen {
  readonly start: string;
  readonly fields: readonly string[];
  readonly body: string;
}

interface Reading {
  readonly messages: readonly Seen[];
  /** Whether every byte was taken as part of a whole message. */
  readonly clean: boolean;
}

function flat(fields: Fields): string[] {
  return Array.from({ length: fields.count }, (_, i) => [fields.name(i), fields.valueAt(i)]).flat();
}

function readRequests(bytes: Buffer): Reading {
  const messages: Seen[] = [];
  try {
    for (let rest = bytes; rest.length > 0; ) {
      const reader = new HeadReader(parseRequestHead, LIMITS);
      const head = reader.push(rest);
      if (head === undefined) return { messages, clean: false };
      const { body, behind } = readBody(new BodyReader(requestFraming(head)), reader.rest);
      const start = `${head.method} ${head.target} 1.${head.minor}`;
      messages.push({ start, fields: flat(head.fields), body });
      rest = behind;
    }
    return { messages, clean: true };
  } catch (error) {
    assert.ok(error instanceof FramingError, String(error));
    return { messages, clean: false };
  }
}

function readResponse(bytes: Buffer, method: string): Reading {
  try {
    const reader = new HeadReader(parseResponseHead, LIMITS);
    const head = reader.push(bytes);
    if (head === undefined) return { messages: [], clean: false };
    const { body, behind } = readBody(new BodyReader(responseFraming(head, method)), reader.rest);
    const start = `1.${head.minor} ${head.status} ${head.phrase}`;
    return {
      messages: [{ start, fields: flat(head.fields), body }],
      clean: behind.length === 0,
    };
  } catch (error) {
    assert.ok(error instanceof FramingError, String(error));
    return { messages: [], clean: false };
  }
}

function readBody(reader: BodyReader, bytes: Buffer): { body: string; behind: Buffer } {
  const payload: Buffer[] = [];
  const taken = reader.push(bytes, (piece) => payload.push(piece));
  reader.end();
  return { body: Buffer.concat(payload).toString('latin1'), behind: bytes.subarray(taken) };
}

/** The messages that Node's server reads, as far as they are whole. */
async function nodeReadsRequests(bytes: Buffer): Promise<Reading> {
  const [near, far] = duplexPair();
  const collected: (() => Seen | undefined)[] = [];
  let refused = false;
  const server = createServer({ requireHostHeader: false });
  const take = (message: Parameters<typeof collect>[0] & { method?: string; url?: string }) => {
    const start = () => `${message.method} ${message.url} ${message.httpVersion}`;
    collected.push(collect(message, start));
  };
  server.on('request', take);
  server.on('checkContinue', take);
  const over = new Promise<void>((resolve) => {
    server.on('connection', (socket) => socket.on('end', resolve).on('close', resolve));
    server.on('clientError', (_error, socket) => {
      refused = true;
      socket.destroy();
      resolve();
    });
  });
  server.emit('connection', far);
  near.on('error', () => {}).resume();
  near.end(bytes);
  await over;
  await turn();
  const messages = collected.map((message) => message()).filter((message) => message !== undefined);
  near.destroy();
  far.destroy();
  return { messages, clean: !refused && messages.length === collected.length };
}

/** The response that Node's client reads. */
async function nodeReadsResponse(bytes: Buffer, method: string): Promise<Reading> {
  const [near, far] = duplexPair();
  let seen: (() => Seen | undefined) | undefined;
  let refused = false;
  const request = httpRequest({ method, createConnection: () => near as Duplex as never });
  const over = new Promise<void>((resolve) => {
    request.on('error', () => {
      refused = true;
    });
    request.on('response', (message) => {
      const start = () => `${message.httpVersion} ${message.statusCode} ${message.statusMessage}`;
      seen = collect(message, start);
    });
    near.on('close', resolve);
  });
  far.on('error', () => {}).once('data', () => far.end(bytes));
  request.end();
  await over;
  await turn();
  const message = seen?.();
  return { messages: message === undefined ? [] : [message], clean: !refused };
}

interface Incoming {
  readonly rawHeaders: string[];
  readonly httpVersion: string;
  readonly complete: boolean;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: () => void): unknown;
}

function collect(message: Incoming, start: () => string): () => Seen | undefined {
  const body: Buffer[] = [];
  message.on('data', (chunk) => body.push(chunk));
  message.on('error', () => {});
  return () => {
    if (!message.complete) return undefined;
    const text = Buffer.concat(body).toString('latin1');
    return { start: start(), fields: message.rawHeaders, body: text };
  };
}

/** What we read, Node reads alike, as far as it does not refuse it. */
function sameAsFarAsBothRead(ours: Reading, theirs: Reading): void {
  const both = Math.min(ours.messages.length, theirs.messages.length);
  assert.deepEqual(ours.messages.slice(0, both), theirs.messages.slice(0, both));
  const next = ours.messages[both];
  if (next !== undefined) assert.ok(beyondNode(next, ours.messages[both - 1]), next.start);
}

/** What Node alone refuses, and not for its framing: methods unknown to it, odd targets, what follows HTTP/1.0. */
function beyondNode(message: Seen, before: Seen | undefined): boolean {
  const [verb = '', path = ''] = message.start.split(' ');
  return (
    !METHODS.includes(verb) || !path.startsWith('/') || before?.start.endsWith(' 1.0') === true
  );
}

// CONNECT and Upgrade hand the connection over, and so end what a parser may be asked.
const method = fc.constantFrom(...METHODS.filter((name) => name !== 'CONNECT'));
const target = fc
  .string({ unit: fc.constantFrom(...'aZ09/-._~%!$&\'()*+,;=:@?"<>[]^`{|}'), maxLength: 20 })
  .map((text) => `/${text}`);
const OWN = /^(?:content-length|transfer-encoding|connection|upgrade|expect|proxy-connection)$/i;
const fieldName = fc
  .string({
    unit: fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"),
    minLength: 1,
    maxLength: 12,
  })
  .filter((name) => !OWN.test(name));
const fieldValue = fc.string({
  unit: fc.constantFrom(...'abc 012\t,;:="\u0080\u00ff'),
  maxLength: 20,
});
const white = fc.constantFrom('', ' ', '\t', ' \t ');
const fieldLines = fc
  .array(
    fc
      .tuple(fieldName, white, fieldValue, white)
      .map(([name, before, value, behind]) => `${name}:${before}${value}${behind}\r\n`),
    { maxLength: 5 },
  )
  .map((lines) => lines.join(''));
const payload = fc.string({ unit: 'binary-ascii', maxLength: 30 });
const chunkedBody = fc
  .tuple(
    fc.array(fc.tuple(payload, fc.constantFrom('', ';a', ';a=b', ';a="b c"'), fc.boolean())),
    fieldLines,
  )
  .map(([chunks, trailers]) => {
    const written = chunks
      .filter(([data]) => data !== '')
      .map(([data, extension, upper]) => {
        const size = data.length.toString(16);
        return `${upper ? size.toUpperCase() : size.padStart(4, '0')}${extension}\r\n${data}\r\n`;
      });
    return `${written.join('')}0\r\n${trailers}\r\n`;
  });
const framed = fc.oneof(
  payload.map((body) => [`Content-Length: ${body.length}\r\n`, body] as const),
  chunkedBody.map((body) => ['Transfer-Encoding: chunked\r\n', body] as const),
);
const requestText = fc
  .tuple(method, target, fieldLines, fc.oneof(fc.constant(['', ''] as const), framed), fieldLines)
  .map(([verb, path, before, [framing, body], behind]) => {
    return `${verb} ${path} HTTP/1.1\r\n${before}${framing}${behind}\r\n${body}`;
  });
const phrase = fc.string({ unit: fc.constantFrom(...'OK ab\t\u00e9'), maxLength: 8 });
const status = fc.constantFrom(200, 203, 204, 205, 301, 304, 404, 500, 599, 999);
const bodiless = (code: number) => code === 204 || code === 304;
const responseText = fc
  .tuple(
    status,
    phrase,
    fieldLines,
    fc.oneof(
      framed,
      payload.map((body) => ['', body] as const),
    ),
  )
  .map(([code, words, fields, [framing, body]]) => {
    const head = `HTTP/1.1 ${code} ${words}\r\n${fields}`;
    return bodiless(code) ? `${head}\r\n` : `${head}${framing}\r\n${body}`;
  });

/** Second requests that are seen by one reader only are what smuggling is about. */
const SENTINEL = 'GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n';

const HOSTILE = [
  ...['\r', '\n', '\r\n', '\0', ' ', '\t', '\u000b', ':', ',', ';', '0', 'x', '+', '-', '\u00a0'],
  ...['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'chunked', '0\r\n\r\n', '\r\n '],
];

/** Replaces up to two characters by what tells parsers apart. */
function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.tuple(fc.nat(), fc.nat({ max: 2 }), fc.constantFrom(...HOSTILE));
  return fc.tuple(text, fc.array(change, { minLength: 1, maxLength: 2 })).map(([sent, changes]) =>
    changes.reduce((now, [seed, gone, put]) => {
      const at = seed % (now.length + 1);
      return now.slice(0, at) + put + now.slice(at + gone);
    }, sent),
  );
}

test('Node reads every valid request as we do', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(requestText, { minLength: 1, maxLength: 3 }), async (texts) => {
      const bytes = Buffer.from(texts.join(''), 'latin1');
      const ours = readRequests(bytes);
      assert.equal(ours.messages.length, texts.length);
      assert.equal(ours.clean, true);
      assert.deepEqual(await nodeReadsRequests(bytes), ours);
    }),
    { numRuns: 300 },
  );
});

test('Node reads every valid response as we do', async () => {
  await fc.assert(
    fc.asyncProperty(responseText, fc.constantFrom('GET', 'POST'), async (text, verb) => {
      const bytes = Buffer.from(text, 'latin1');
      const ours = readResponse(bytes, verb);
      assert.equal(ours.clean, true);
      assert.deepEqual(await nodeReadsResponse(bytes, verb), ours);
    }),
    { numRuns: 300 },
  );
});

test('whatever request we accept, however broken, Node sees no other one in it', async () => {
  await fc.assert(
    fc.asyncProperty(mutated(requestText), async (text) => {
      const bytes = Buffer.from(text + SENTINEL, 'latin1');
      const ours = readRequests(bytes);
      sameAsFarAsBothRead(ours, await nodeReadsRequests(bytes));
    }),
    { numRuns: 1500 },
  );
});

test('whatever response we accept, however broken, Node sees no other one in it', async () => {
  await fc.assert(
    fc.asyncProperty(mutated(responseText), fc.constantFrom('GET', 'HEAD'), async (text, verb) => {
      const bytes = Buffer.from(text, 'latin1');
      sameAsFarAsBothRead(readResponse(bytes, verb), await nodeReadsResponse(bytes, verb));
    }),
    { numRuns: 1500 },
  );
});
