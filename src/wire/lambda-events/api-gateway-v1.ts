import { readBody, writeBody } from './body.ts';
import { EventFault } from './event-fault.ts';
import { inside, type JsonObject, toObject, toOptionalText, toStatus, toText } from './json.ts';
import { allValues, fromEither, fromMulti, fromSingle, lastValues } from './maps.ts';
import type { EventAnswer, EventFormat, EventPlace, EventRequest, Field } from './message.ts';
import { decodedParameters, encodeParameters, sendablePath } from './query.ts';

const ANSWER_KEYS = ['statusCode', 'headers', 'multiValueHeaders', 'body', 'isBase64Encoded'];

/**
 * Proxy integration of an API Gateway REST API, payload format 1.0: queries decoded, each map with one value and with all,
 * absent is null (https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html).
 */
export const apiGatewayV1: EventFormat = {
  name: 'apigateway-v1',
  recognises: (event) =>
    event.resource !== undefined || inside(event, 'requestContext', 'apiId') !== undefined,
  readRequest: readProxyRequest,
  writeRequest(request, place) {
    const query = decodedParameters(request.query);
    const { method: httpMethod, path } = request;
    return {
      resource: '/{proxy+}',
      path,
      httpMethod,
      headers: orNull(request.headers, lastValues),
      multiValueHeaders: orNull(request.headers, allValues),
      queryStringParameters: orNull(query, lastValues),
      multiValueQueryStringParameters: orNull(query, allValues),
      pathParameters: path === '/' ? null : { proxy: path.slice(1) },
      stageVariables: null,
      requestContext: contextOf(request, place),
      ...(request.body.length === 0
        ? { body: null, isBase64Encoded: false }
        : writeBody(request.body, true)),
    };
  },
  readAnswer(response) {
    const answer = toObject(response, 'the response');
    const unknown = Object.keys(answer).find((key) => !ANSWER_KEYS.includes(key));
    if (unknown !== undefined) throw new EventFault('the response has a key that nobody knows');
    return {
      status: toStatus(answer.statusCode),
      headers: mergedHeaders(answer),
      body: readBody(answer),
    };
  },
  writeAnswer: ({ status, headers, body }) => ({
    statusCode: status,
    multiValueHeaders: allValues(headers),
    ...writeBody(body, true),
  }),
};

/** What v1 and its relatives have in common. @throws EventFault */
export function readProxyRequest(event: JsonObject): EventRequest {
  return {
    method: toText(event.httpMethod, 'httpMethod'),
    path: sendablePath(toText(event.path, 'path')),
    query: encodeParameters(
      fromEither(event, 'queryStringParameters', 'multiValueQueryStringParameters'),
    ),
    headers: fromEither(event, 'headers', 'multiValueHeaders'),
    body: readBody(event),
    client: toOptionalText(inside(event, 'requestContext', 'identity', 'sourceIp'), 'sourceIp'),
  };
}

/** All values of both maps; what stands in both is the same one. @throws EventFault */
function mergedHeaders(answer: JsonObject): EventAnswer['headers'] {
  const all = fromMulti(answer.multiValueHeaders, 'multiValueHeaders');
  const isIn = ([name, value]: Field) => all.some(([n, v]) => n === name && v === value);
  return [...all, ...fromSingle(answer.headers, 'headers').filter((one) => !isIn(one))];
}

function orNull(pairs: readonly Field[], toMap: (pairs: readonly Field[]) => JsonObject) {
  return pairs.length === 0 ? null : toMap(pairs);
}

function contextOf({ method, path, headers, client }: EventRequest, place: EventPlace) {
  const { requestId, now, account } = place;
  const value = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1] ?? null;
  return {
    accountId: account,
    apiId: 'local',
    domainName: value('host'),
    extendedRequestId: requestId,
    httpMethod: method,
    identity: { sourceIp: client ?? null, userAgent: value('user-agent') },
    path,
    protocol: 'HTTP/1.1',
    requestId,
    requestTime: new Date(now).toUTCString(),
    requestTimeEpoch: now,
    resourceId: 'local',
    resourcePath: '/{proxy+}',
    stage: '$default',
  };
}
