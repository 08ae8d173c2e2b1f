import { METHODS } from 'node:http';
import fc from 'fast-check';

/** What goes over one connection in one direction, in latin1, and where it is cut on its way. */
export interface Sent {
  readonly text: string;
  /** The method of the request: what a response's end depends on. */
  readonly method: string;
  /** Taken modulo the length. */
  readonly cuts: readonly number[];
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
const chunk = fc
  .tuple(
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 30 }),
    fc.constantFrom('', ';a', ';a=b', ';a="b c"', ';a="b\\"\u00ff;";c'),
    fc.boolean(),
  )
  .map(([data, extension, upper]) => {
    const size = data.length.toString(16);
    return `${upper ? size.toUpperCase() : size.padStart(4, '0')}${extension}\r\n${data}\r\n`;
  });
const chunkedBody = fc
  .tuple(fc.array(chunk, { maxLength: 5 }), fieldLines)
  .map(([chunks, trailers]) => `${chunks.join('')}0\r\n${trailers}\r\n`);
const framed = fc.oneof(
  payload.map((body) => [`Content-Length: ${body.length}\r\n`, body] as const),
  chunkedBody.map((body) => ['Transfer-Encoding: chunked\r\n', body] as const),
);

const request = fc
  .tuple(method, target, fieldLines, fc.oneof(fc.constant(['', ''] as const), framed), fieldLines)
  .map(([verb, path, before, [framing, body], behind]) => {
    return `${verb} ${path} HTTP/1.1\r\n${before}${framing}${behind}\r\n${body}`;
  });
const requests = fc.array(request, { minLength: 1, maxLength: 3 }).map((texts) => texts.join(''));

const phrase = fc.string({ unit: fc.constantFrom(...'OK ab\t\u00e9'), maxLength: 8 });
const interim = fc
  .tuple(fc.constantFrom(100, 102, 103, 199), phrase, fieldLines)
  .map(([code, words, fields]) => `HTTP/1.1 ${code} ${words}\r\n${fields}\r\n`);
const status = fc.constantFrom(200, 203, 204, 205, 301, 304, 404, 500, 599, 999);
const bodiless = (code: number) => code === 204 || code === 304;
const final = fc
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
const responses = fc
  .tuple(fc.array(interim, { maxLength: 2 }), final)
  .map(([before, last]) => `${before.join('')}${last}`);

/** A request that only one of two readers sees is what smuggling is about. */
const SENTINEL = 'GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n';

const HOSTILE = [
  ...['\r', '\n', '\r\n', '\r\r\n', '\n\r', '\r\n\r\n', '\r\n ', '\r\n\t', '\0', '\u007f'],
  ...[' ', '\t', '\u000b', '\f', '\u0085', '\u00a0', ':', ',', ';', '"', '\\', '='],
  ...['0', '1', 'x', 'f', '+', '-', '_', '.', '0x', '00000000000000000', '9007199254740993'],
  ...['Content-Length: 3\r\n', 'Content-Length: 0\r\n', 'Content_Length: 3\r\n'],
  ...['Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: identity\r\n', 'chunked', ', chunked'],
  ...['0\r\n\r\n', '1\r\nx\r\n', ';a="\r\n', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/0.9', SENTINEL],
];

/** Up to three places get what tells parsers apart: half of them anywhere, half where the structure of a message is. */
function mutated(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.tuple(
    fc.nat(),
    fc.boolean(),
    fc.nat({ max: 2 }),
    fc.constantFrom('', ...HOSTILE),
  );
  return fc.tuple(text, fc.array(change, { minLength: 1, maxLength: 3 })).map(([sent, changes]) =>
    changes.reduce((now, [seed, structural, gone, put]) => {
      const places = structural ? [...now.matchAll(/[\r\n:; ]/g)].map(({ index }) => index) : [];
      const anywhere = seed % (now.length + 1);
      const at = places[seed % Math.max(1, places.length)] ?? anywhere;
      return now.slice(0, at) + put + now.slice(at + gone);
    }, sent),
  );
}

function sent(text: fc.Arbitrary<string>, methods: readonly string[]): fc.Arbitrary<Sent> {
  return fc.record({
    text,
    method: fc.constantFrom(...methods),
    cuts: fc.array(fc.nat(), { maxLength: 4 }),
  });
}

export const validRequests: fc.Arbitrary<Sent> = sent(requests, ['']);
/** As valid as the bytes happen to be; a request that is valid stands behind them. */
export const brokenRequests: fc.Arbitrary<Sent> = sent(
  mutated(requests).map((text) => text + SENTINEL),
  [''],
);
/** One final response, interim ones before it. */
export const validResponses: fc.Arbitrary<Sent> = sent(responses, ['GET', 'POST']);
export const brokenResponses: fc.Arbitrary<Sent> = sent(mutated(responses), ['GET', 'HEAD']);
