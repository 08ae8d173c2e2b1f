import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  type YAMLError,
  type YAMLMap,
} from 'yaml';

/** Takes a fault at an offset of the text. */
export type Report = (offset: number, message: string, remedy: string) => void;

/** Reports what keeps the text from being one YAML document. Returns whether its data cannot be relied on. */
export function findTextTraps(text: string, document: Document, report: Report): boolean {
  const directive = /^%/m.exec(text);
  const { yaml, tags } = document.directives ?? {};
  const directives = yaml?.explicit === true || Object.keys(tags ?? {}).length > 1;
  if (directives || document.warnings.some(({ code }) => code === 'BAD_DIRECTIVE')) {
    report(
      directive?.index ?? 0,
      'YAML directives are refused',
      'remove the line that begins with %',
    );
  }
  const errors = document.errors.filter((error) => !isEmptyAlias(error));
  for (const error of errors) report(error.pos[0], ...syntaxFault(error, text));
  return errors.length > 0;
}

// Told by `toData`, like every other alias.
function isEmptyAlias({ code, message }: YAMLError): boolean {
  return code === 'BAD_ALIAS' && message.includes('empty');
}

// The library's own messages may quote the text, and the text may be a secret.
const SYNTAX: Readonly<Record<string, readonly [message: string, remedy: string]>> = {
  BAD_INDENT: [
    'the indentation does not fit the lines above',
    'align the keys of one map, and close every bracket and brace',
  ],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second ": " on one line makes this no plain value',
    'put quotes around the text, or the inner map on lines of its own',
  ],
  BAD_DQ_ESCAPE: [
    'this escape means nothing in double quotes',
    'use single quotes, or write the backslash twice',
  ],
  BAD_SCALAR_START: ['plain text cannot begin with this character', 'put quotes around the text'],
  MISSING_CHAR: ['a quote, colon or bracket is missing here', 'add it'],
  MULTIPLE_DOCS: ['a second YAML document begins here', 'keep one document per file'],
  MULTILINE_IMPLICIT_KEY: ['a key goes over several lines', 'keep it on one line, with its colon'],
  TAB_AS_INDENT: ['a tab stands where YAML wants spaces', 'indent with spaces'],
};

function syntaxFault({ code, pos }: YAMLError, text: string): readonly [string, string] {
  const end = text.indexOf('\n', pos[0]);
  const line = text.slice(text.lastIndexOf('\n', pos[0] - 1) + 1, end < 0 ? text.length : end);
  // Whatever the parser stumbled over, a bare `[::]:3128` on the line is why.
  if (/(?<!["'])\[[0-9a-f:.]*:[0-9a-f:.]*\]:\d/i.test(line)) return BRACKETS;
  return SYNTAX[code] ?? ['this is no valid YAML', 'compare it with the lines around'];
}

const BRACKETS = [
  'an unquoted [::] is a YAML list, not an address',
  'put quotes around it: "[::]:3128"',
] as const;

/** Plain data of a node: maps as objects, lists as arrays. Traps are reported and read as their author meant them. */
export function toData(node: unknown, text: string, report: Report): unknown {
  if (isAlias(node)) {
    report(
      offset(node),
      'an unquoted * begins a YAML alias, and aliases are refused',
      'put quotes around the text: "*" or "*.example.com"',
    );
    return `*${node.source}`;
  }
  if (!isMap(node) && !isSeq(node) && !isScalar(node)) return null;
  checkProperties(node, text, report);
  if (isMap(node)) return mapData(node, text, report);
  if (isSeq(node)) return node.items.map((item) => toData(item, text, report));
  checkWord(node, report);
  return node.value;
}

function checkProperties(
  node: Node & { anchor?: string | undefined },
  text: string,
  report: Report,
): void {
  // They stand before the node, which begins behind them.
  const before = text.slice(Math.max(0, offset(node) - 200), offset(node));
  const place = (property: RegExp) => {
    const found = before.search(property);
    return found < 0 ? offset(node) : offset(node) - before.length + found;
  };
  if (node.anchor !== undefined) {
    const at = place(/&\S+\s+(?:!\S*\s+)?$/);
    report(at, 'YAML anchors are refused', 'write the value where it is needed');
  }
  if (node.tag !== undefined) {
    const at = place(/!\S*\s+(?:&\S+\s+)?$/);
    report(at, 'YAML tags are refused', 'remove the tag; quotes make a value text');
  }
}

function checkWord(node: Scalar, report: Report): void {
  if (node.type !== 'PLAIN' || typeof node.value !== 'string') return;
  if (!/^(?:yes|no|on)$/i.test(node.value)) return;
  report(
    offset(node),
    `an unquoted ${node.value} is text to some YAML readers and a boolean to others`,
    `write true or false, or "${node.value}" in quotes where text is meant`,
  );
}

function mapData(map: YAMLMap, text: string, report: Report): unknown {
  if (isBareIpv6(map)) {
    report(offset(map), ...BRACKETS);
    return '::';
  }
  const data: Record<string, unknown> = {};
  for (const pair of map.items) {
    const key = keyOf(pair, text, report);
    if (key === undefined) continue;
    if (Object.hasOwn(data, key)) {
      report(
        offset(pair.key),
        `the key ${JSON.stringify(key)} is here twice`,
        'keep one of the two',
      );
      continue;
    }
    const glued = map.flow === true ? splitGlued(pair) : undefined;
    if (glued === undefined) {
      data[key] = toData(pair.value, text, report);
      continue;
    }
    // Only what stands before the colon is told: behind it there may be a secret.
    report(
      offset(pair.key),
      `"{${glued[0]}:…}" without a space after the colon is one key without a value`,
      `write { ${glued[0]}: … }`,
    );
    data[glued[0]] = glued[1];
  }
  return data;
}

/** The key of a pair where it can be one. */
function keyOf(pair: Pair, text: string, report: Report): string | undefined {
  const key = pair.key;
  if (!isScalar(key)) {
    if (isAlias(key)) toData(key, text, report);
    else report(offset(key), 'a list or a map cannot be a key', 'write the key as text');
    return undefined;
  }
  checkProperties(key, text, report);
  checkWord(key, report);
  if (key.value === '<<') {
    report(offset(key), 'YAML merge keys are refused', 'write the values where they are needed');
    return undefined;
  }
  if (typeof key.value !== 'string') {
    report(
      offset(key),
      `the key ${key.source ?? ''} is not text`,
      `put it in quotes: "${key.source ?? ''}"`,
    );
    return keyText(key);
  }
  if (key.value === '__proto__') {
    report(offset(key), '"__proto__" cannot be a key', 'choose another name');
    return undefined;
  }
  return key.value;
}

/** A key as it is written: `012` stays what it is. */
export function keyText({ value, source }: Scalar): string {
  return typeof value === 'string' ? value : (source ?? '');
}

function splitGlued({ key, value }: Pair): [string, string] | undefined {
  if (value !== null || !isScalar(key) || key.type !== 'PLAIN') return undefined;
  const match = /^([A-Za-z]+):(.+)$/.exec(String(key.value));
  return match === null ? undefined : [match[1] as string, match[2] as string];
}

// `[::]` is read as a list of one map with the key ":".
function isBareIpv6(map: YAMLMap): boolean {
  const [pair, more] = map.items;
  return more === undefined && isScalar(pair?.key) && pair.key.value === ':';
}

function offset(node: unknown): number {
  const range = (node as Node | null)?.range;
  return range?.[0] ?? 0;
}
