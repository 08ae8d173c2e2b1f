import { statusDescription } from './alb.ts';
import { readProxyRequest } from './api-gateway-v1.ts';
import { readBody, writeBody } from './body.ts';
import { inside, toObject, toOptionalText, toStatus } from './json.ts';
import { allValues, firstValues, fromEither, lastValues } from './maps.ts';
import type { EventFormat } from './message.ts';
import { decodedParameters } from './query.ts';

/**
 * What ssm-sign-proxy and its function say to one another: a balancer's event that names no target group, with both kinds
 * of maps and decoded queries; the response has both kinds of maps, too. Besides them stands the query as it was sent, which
 * the maps do not tell, and which whoever does not know it leaves alone.
 */
export const signingProxy: EventFormat = {
  name: 'signing-proxy',
  recognises: (event) =>
    event.httpMethod !== undefined &&
    inside(event, 'requestContext', 'elb', 'targetGroupArn') === undefined,
  readRequest(event) {
    const request = readProxyRequest(event);
    const sent = toOptionalText(event.rawQueryString, 'rawQueryString');
    return sent === undefined ? request : { ...request, query: sent === '' ? undefined : sent };
  },
  writeRequest({ method, path, query, headers, body }) {
    const parameters = decodedParameters(query);
    return {
      httpMethod: method,
      path,
      queryStringParameters: lastValues(parameters),
      multiValueQueryStringParameters: allValues(parameters),
      rawQueryString: query ?? '',
      headers: lastValues(headers),
      multiValueHeaders: allValues(headers),
      requestContext: { elb: {} },
      ...writeBody(body, true),
    };
  },
  readAnswer(response) {
    const answer = toObject(response, 'the response');
    return {
      status: toStatus(answer.statusCode),
      headers: fromEither(answer, 'headers', 'multiValueHeaders'),
      body: readBody(answer),
    };
  },
  writeAnswer: ({ status, headers, body }) => ({
    statusCode: status,
    statusDescription: statusDescription(status),
    headers: firstValues(headers),
    multiValueHeaders: allValues(headers),
    ...writeBody(body, true),
  }),
};
