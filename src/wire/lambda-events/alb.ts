import { STATUS_CODES } from 'node:http';
import { isTextType, readBody, writeBody } from './body.ts';
import { EventFault } from './event-fault.ts';
import { inside, isObject, toObject, toStatus, toText } from './json.ts';
import { allValues, firstValues, fromEither, fromMulti, fromSingle, lastValues } from './maps.ts';
import type { EventFormat, EventPlace, Field } from './message.ts';
import { joinParameters, rawParameters, sendablePath } from './query.ts';

/** A target group whose maps have one value to a name, the last one. */
export const alb: EventFormat = albFormat(false);

/** One with `lambda.multi_value_headers.enabled`. */
export const albMultiValue: EventFormat = albFormat(true);

/**
 * Application Load Balancer: the query is not decoded, and each map has one value to a name or all of them, as its target
 * group says; so has the response, with a status line's text
 * (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html).
 */
function albFormat(multi: boolean): EventFormat {
  const toMap = multi ? allValues : lastValues;
  const [headersKey, queryKey] = multi
    ? ['multiValueHeaders', 'multiValueQueryStringParameters']
    : ['headers', 'queryStringParameters'];
  return {
    name: multi ? 'alb-multi-value' : 'alb',
    recognises: (event) =>
      typeof inside(event, 'requestContext', 'elb', 'targetGroupArn') === 'string' &&
      isObject(event.multiValueHeaders) === multi,
    readRequest(event) {
      const headers = fromEither(event, 'headers', 'multiValueHeaders');
      return {
        method: toText(event.httpMethod, 'httpMethod'),
        path: sendablePath(toText(event.path, 'path')),
        query: joinParameters(
          fromEither(event, 'queryStringParameters', 'multiValueQueryStringParameters'),
        ),
        headers,
        body: readBody(event),
        client: lastForwarded(headers),
      };
    },
    writeRequest: (request, place) => ({
      requestContext: { elb: { targetGroupArn: targetGroup(place) } },
      httpMethod: request.method,
      path: request.path,
      [queryKey]: toMap(rawParameters(request.query)),
      [headersKey]: toMap(withForwarded(request.headers, request.client)),
      ...writeBody(request.body, request.body.length === 0 || isTextType(request.headers)),
    }),
    readAnswer(response) {
      const answer = toObject(response, 'the response');
      const other = multi ? 'headers' : 'multiValueHeaders';
      if (isObject(answer[other]) && !isObject(answer[headersKey])) {
        throw new EventFault(
          `the response has ${other} where the target group takes ${headersKey}`,
        );
      }
      const read = multi ? fromMulti : fromSingle;
      return {
        status: toStatus(answer.statusCode),
        headers: read(answer[headersKey], headersKey),
        body: readBody(answer),
      };
    },
    writeAnswer: ({ status, headers, body }) => ({
      statusCode: status,
      statusDescription: statusDescription(status),
      [headersKey]: multi ? allValues(headers) : firstValues(headers),
      ...writeBody(body, isTextType(headers)),
    }),
  };
}

/** `200 OK`. */
export function statusDescription(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? 'Unknown'}`;
}

/** The balancer adds its client behind all that the client itself may have written. */
function lastForwarded(headers: readonly Field[]): string | undefined {
  const all = headers.filter(([name]) => name.toLowerCase() === 'x-forwarded-for');
  return all.at(-1)?.[1].split(',').at(-1)?.trim();
}

function withForwarded(headers: readonly Field[], client: string | undefined): Field[] {
  const lower = headers.map(([name, value]): Field => [name.toLowerCase(), value]);
  if (client === undefined) return lower;
  const before = lower.filter(([name]) => name === 'x-forwarded-for').map(([, value]) => value);
  const others = lower.filter(([name]) => name !== 'x-forwarded-for');
  return [...others, ['x-forwarded-for', [...before, client].join(', ')]];
}

function targetGroup({ region, account }: EventPlace): string {
  return `arn:aws:elasticloadbalancing:${region}:${account}:targetgroup/local/0123456789abcdef`;
}
