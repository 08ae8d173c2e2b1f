import { isMap, isScalar, isSeq, type Node, parseDocument, type YAMLMap } from 'yaml';

type Values = Readonly<Record<string, string>>;
type Json = { readonly [key: string]: unknown };

/** What `!Ref AWS::NoValue` leaves out. */
const NO_VALUE = Symbol('AWS::NoValue');

/**
 * The resources of a template as CloudFormation makes them of its parameters: functions in their short form, those that our
 * templates have (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html).
 *
 * @param values parameters, pseudo parameters as `AWS::Region`, and attributes of resources as `Sign.Arn`
 * @throws Error for a function or a name that is not known here
 */
export function resourcesOf(template: string, values: Values): Json {
  const document = parseDocument(template, { logLevel: 'silent' });
  if (document.errors.length > 0) throw document.errors[0];
  const root = document.contents as YAMLMap;
  const parameters = root.get('Parameters') as YAMLMap;
  const defaults = parameters.items.map(({ key, value }) => [
    String(key),
    (value as YAMLMap).get('Default'),
  ]);
  const scope = { ...Object.fromEntries(defaults), ...values };
  const conditions = root.get('Conditions') as YAMLMap | undefined;
  const holds = (name: string) => evaluate(conditions?.get(name, true) as Node, scope, holds);
  return evaluate(root.get('Resources', true) as Node, scope, holds) as Json;
}

type Holds = (condition: string) => unknown;

function evaluate(node: Node, scope: Values, holds: Holds): unknown {
  const inside = (one: unknown) => evaluate(one as Node, scope, holds);
  if (isMap(node)) {
    const pairs = node.items.map(({ key, value }) => [String(key), inside(value)] as const);
    return Object.fromEntries(pairs.filter(([, value]) => value !== NO_VALUE));
  }
  if (isSeq(node)) {
    if (node.tag === '!If') {
      const [condition, yes, no] = node.items;
      return inside(holds(String(condition)) === true ? yes : no);
    }
    const values = node.items.map(inside).filter((value) => value !== NO_VALUE);
    if (node.tag === '!Not') return values[0] === false;
    if (node.tag === '!Equals') return values[0] === values[1];
    if (node.tag?.startsWith('!')) throw new Error(`${node.tag} is not known here`);
    return values;
  }
  return isScalar(node) ? scalar(node.tag, node.value, scope) : undefined;
}

function scalar(tag: string | undefined, value: unknown, scope: Values): unknown {
  const named = (name: string) => {
    if (name === 'AWS::NoValue') return NO_VALUE;
    if (!(name in scope)) throw new Error(`${name} is not defined`);
    return scope[name];
  };
  if (tag === '!Ref' || tag === '!GetAtt') return named(String(value));
  if (tag === '!Sub') {
    return String(value).replaceAll(/\$\{([^}]+)\}/g, (_, name) => String(named(name)));
  }
  if (tag?.startsWith('!')) throw new Error(`${tag} is not known here`);
  return value;
}
