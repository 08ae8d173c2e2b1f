/**
 * The forms in which a secret may come back, as patterns over bytes: one node for each place within a form, with the bytes
 * that may stand there. Plain, percent-encoded and JSON-escaped bytes may alternate; base64 and base64url are found also
 * where the secret is only a part of what was encoded; hexadecimal in either case.
 */
export interface FormNode {
  /** What may follow, by byte. */
  readonly next: Map<number, FormNode[]>;
  /** Whether a whole form ends here. */
  end: boolean;
}

/** Shorter ones stand in texts by chance. */
export const SHORTEST = 6;

/** All forms of several secrets as one pattern, or undefined where there is nothing long enough to look for. */
export function compileForms(secrets: readonly string[]): FormNode | undefined {
  const root = newNode();
  for (const secret of new Set(secrets.flatMap(withBareToken))) {
    if (secret.length < SHORTEST) continue;
    addChain(root, [...secret].map(escapesOf));
    const bytes = Buffer.from(secret, 'utf8');
    addChain(
      root,
      [...bytes.toString('hex')].map((digit) => eitherCase(digit)),
    );
    for (const before of [0, 1, 2]) addChain(root, [...base64Core(bytes, before)].map(base64Form));
  }
  return root.next.size === 0 ? undefined : root;
}

/** What stands behind the scheme of an `Authorization` is the token itself, and may come back alone. */
function withBareToken(secret: string): string[] {
  const bare = /^[A-Za-z][A-Za-z0-9-]* +(.+)$/s.exec(secret)?.[1];
  return bare === undefined ? [secret] : [secret, bare];
}

function newNode(): FormNode {
  return { next: new Map(), end: false };
}

/** What may stand in one place: several spellings, each some bytes long. */
type Spellings = readonly (readonly number[][])[];

/** @param places one after the other; each spelling is a list of bytes, and each of these a choice */
function addChain(root: FormNode, places: readonly Spellings[]): void {
  let from = root;
  for (const spellings of places) {
    const to = newNode();
    for (const spelling of spellings) addSpelling(from, spelling, to);
    from = to;
  }
  from.end = true;
}

function addSpelling(from: FormNode, spelling: readonly number[][], to: FormNode): void {
  let node = from;
  for (const [i, choice] of spelling.entries()) {
    const following = i === spelling.length - 1 ? to : newNode();
    for (const byte of choice) {
      const nodes = node.next.get(byte);
      if (nodes === undefined) node.next.set(byte, [following]);
      else nodes.push(following);
    }
    node = following;
  }
}

const JSON_SHORT: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
};

/** A character of the secret: itself, percent-encoded (RFC 3986, and `+` of forms), or escaped as in JSON (RFC 8259). */
function escapesOf(character: string): Spellings {
  const bytes = [...Buffer.from(character, 'utf8')];
  const short = JSON_SHORT[character];
  const latin = character.length === 1 && character.charCodeAt(0) > 0x7f && character <= '\u00ff';
  return [
    bytes.map((byte) => [byte]),
    bytes.flatMap((byte) => [literal('%'), ...hexDigits(byte, 2)]),
    [...Array(character.length).keys()].flatMap((i) => [
      literal('\\'),
      literal('u'),
      ...hexDigits(character.charCodeAt(i), 4),
    ]),
    ...(latin ? [[[character.charCodeAt(0)]]] : []),
    ...(short === undefined ? [] : [[literal('\\'), literal(short)]]),
    ...(character === ' ' ? [[literal('+')]] : []),
  ];
}

function hexDigits(value: number, length: number): number[][] {
  const digits = [...value.toString(16).padStart(length, '0')];
  return digits.map((digit) => [...new Set([digit, digit.toUpperCase()])].flatMap(literal));
}

function eitherCase(digit: string): Spellings {
  return [[[...new Set([digit, digit.toUpperCase()])].flatMap(literal)]];
}

function literal(character: string): number[] {
  return [character.charCodeAt(0)];
}

/**
 * The part of a base64 text that is the same whatever stands before and behind the bytes, with so many bytes before them:
 * characters at the edges share their bits with neighbours.
 */
function base64Core(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  const start = Math.ceil((before * 8) / 6);
  return text.slice(start, Math.floor(((before + bytes.length) * 8) / 6));
}

/** A character of base64 or base64url, and what percent-encoding and JSON make of those that are no letters. */
function base64Form(character: string): Spellings {
  const twin = { '+': '-', '/': '_' }[character];
  if (twin === undefined) return [[literal(character)]];
  return [[literal(twin)], ...escapesOf(character)];
}
