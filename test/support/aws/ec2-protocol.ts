import { AwsError } from './aws-error.ts';
import { queryProtocol, toXml, xmlReply } from './query-protocol.ts';
import type { Input, Protocol } from './service.ts';

const NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/';

/**
 * EC2's own kind of Query: answers without a result around them, lists as `item`s, its own form of errors
 * (https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html). Parameters arrive nested: `Filter.1.Name` is
 * `{ Filter: [{ Name }] }`.
 */
export const ec2Protocol: Protocol = {
  ...queryProtocol(NAMESPACE),
  read(request) {
    const { operation, input } = queryProtocol(NAMESPACE).read(request);
    return { operation, input: nested(input) };
  },
  answer: (operation, output, id) =>
    xmlReply(
      200,
      `<${operation}Response xmlns="${NAMESPACE}"><requestId>${id}</requestId>${toXml(output)}</${operation}Response>`,
    ),
  refuse: ({ code, message, status }, id) =>
    xmlReply(
      status,
      `<Response><Errors><Error>${toXml({ Code: code, Message: message })}</Error></Errors><RequestID>${id}</RequestID></Response>`,
    ),
  signatureError: ({ message }) => new AwsError('AuthFailure', message, 401),
};

interface Tree {
  [key: string]: Tree | string;
}

function nested(flat: Input): Input {
  const root: Tree = {};
  for (const [path, value] of Object.entries(flat)) {
    const steps = path.split('.');
    const last = steps.pop() as string;
    let at = root;
    for (const step of steps) {
      at[step] ??= {};
      at = at[step] as Tree;
    }
    at[last] = String(value);
  }
  return asLists(root) as Input;
}

function asLists(tree: Tree | string): unknown {
  if (typeof tree === 'string') return tree;
  const keys = Object.keys(tree);
  if (keys.length > 0 && keys.every((key) => /^\d+$/.test(key))) {
    return keys.sort((a, b) => Number(a) - Number(b)).map((key) => asLists(tree[key] as Tree));
  }
  return Object.fromEntries(keys.map((key) => [key, asLists(tree[key] as Tree)]));
}

/** A list as EC2 answers it. */
export function items(list: readonly unknown[]): { item: readonly unknown[] } {
  return { item: list };
}

/** A page of a list, never more than the fake's own size. */
export function page<Item>(list: readonly Item[], input: Input, size: number) {
  const from =
    input.NextToken === undefined ? 0 : Number(/^page:(\d+)$/.exec(String(input.NextToken))?.[1]);
  if (Number.isNaN(from)) throw new AwsError('InvalidNextToken', 'The token is not valid');
  const to = from + Math.min(size, Number(input.MaxResults ?? size));
  return {
    slice: list.slice(from, to),
    ...(to < list.length && { nextToken: `page:${to}` }),
  };
}
