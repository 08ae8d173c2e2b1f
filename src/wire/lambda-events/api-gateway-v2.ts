import { isTextType, readBody, writeBody } from './body.ts';
import { EventFault } from './event-fault.ts';
import { inside, isObject, type JsonObject, toOptionalText, toStatus, toText } from './json.ts';
import { fromSingle, joinedValues } from './maps.ts';
import type { EventAnswer, EventFormat, EventPlace, EventRequest, Field } from './message.ts';
import { decodedParameters, sendablePath } from './query.ts';

/**
 * API Gateway HTTP API and function URL, payload format 2.0: the query as it was sent, cookies apart, values of a name
 * joined by a comma, absent is left out
 * (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html).
 */
export const apiGatewayV2: EventFormat = {
  name: 'apigateway-v2',
  recognises: (event) => event.version === '2.0',
  readRequest: (event) => ({
    method: toText(inside(event, 'requestContext', 'http', 'method'), 'http.method'),
    path: sendablePath(toText(event.rawPath, 'rawPath')),
    query: toOptionalText(event.rawQueryString, 'rawQueryString') || undefined,
    headers: [...fromSingle(event.headers, 'headers'), ...cookieHeader(event.cookies)],
    body: readBody(event),
    client: toOptionalText(inside(event, 'requestContext', 'http', 'sourceIp'), 'sourceIp'),
  }),
  writeRequest(request, place) {
    const { headers, body } = request;
    const cookies = headers.filter(isCookie).flatMap(([, value]) => value.split(/; */));
    const query = decodedParameters(request.query);
    return {
      version: '2.0',
      routeKey: '$default',
      rawPath: request.path,
      rawQueryString: request.query ?? '',
      ...(cookies.length > 0 && { cookies }),
      headers: joinedValues(lowerNames(headers.filter((one) => !isCookie(one)))),
      ...(query.length > 0 && { queryStringParameters: joinedValues(query) }),
      requestContext: contextOf(request, place),
      ...(body.length === 0 ? { isBase64Encoded: false } : writeBody(body, isTextType(headers))),
    };
  },
  readAnswer(response) {
    if (!isObject(response) || response.statusCode === undefined) return inferred(response);
    return {
      status: toStatus(response.statusCode),
      headers: [...fromSingle(response.headers, 'headers'), ...setCookies(response.cookies)],
      body: readBody(response),
    };
  },
  writeAnswer({ status, headers, body }) {
    const lower = lowerNames(headers);
    const cookies = lower.filter(([name]) => name === 'set-cookie').map(([, value]) => value);
    return {
      statusCode: status,
      headers: joinedValues(lower.filter(([name]) => name !== 'set-cookie')),
      ...(cookies.length > 0 && { cookies }),
      ...writeBody(body, isTextType(headers)),
    };
  },
};

/** A value without a status is the body itself. */
function inferred(response: unknown): EventAnswer {
  const text = typeof response === 'string' ? response : JSON.stringify(response ?? null);
  return { status: 200, headers: [['content-type', 'application/json']], body: Buffer.from(text) };
}

function isCookie([name]: Field): boolean {
  return name.toLowerCase() === 'cookie';
}

function lowerNames(headers: readonly Field[]): Field[] {
  return headers.map(([name, value]) => [name.toLowerCase(), value]);
}

/** @throws EventFault */
function cookieHeader(cookies: unknown): Field[] {
  const all = texts(cookies);
  return all.length === 0 ? [] : [['cookie', all.join('; ')]];
}

/** @throws EventFault */
function setCookies(cookies: unknown): Field[] {
  return texts(cookies).map((value) => ['set-cookie', value]);
}

function texts(list: unknown): string[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw new EventFault('cookies is not a list');
  return list.map((one) => toText(one, 'a cookie'));
}

function contextOf({ method, path, headers, client }: EventRequest, place: EventPlace): JsonObject {
  const { requestId, now, account } = place;
  const value = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1];
  return {
    accountId: account,
    apiId: 'local',
    domainName: value('host') ?? 'localhost',
    domainPrefix: 'local',
    http: {
      method,
      path,
      protocol: 'HTTP/1.1',
      sourceIp: client ?? '127.0.0.1',
      userAgent: value('user-agent') ?? '',
    },
    requestId,
    routeKey: '$default',
    stage: '$default',
    time: new Date(now).toUTCString(),
    timeEpoch: now,
  };
}
