import { isUtf8 } from 'node:buffer';

/** A path glob: `*` within a segment, `**` across segments, all else literal. */
export interface PathPattern {
  /** As written. */
  readonly text: string;
  /** @param path as `plainPath` gives it */
  matches(path: string): boolean;
}

// What one server reads as a separator, a parameter or a step upwards and the next one as a plain character.
const UNCLEAR = /[\\;\x00-\x1f\x7f]|\/\/|\/\.{1,2}(?:\/|$)|%[0-9a-f]{2}/i;

/**
 * The path with its percent escapes read (one character per byte), so that two spellings of one path are matched alike
 * (RFC 3986 6.2.2.2). Undefined when servers may disagree on which resource it names: dot segments, empty segments,
 * `;`, backslash, `%2f`, doubly escaped, malformed or overlong characters. Such a path must never get past a rule.
 */
export function plainPath(path: string): string | undefined {
  const plain = path.includes('%') ? unescapePath(path) : path;
  if (plain === undefined || UNCLEAR.test(plain)) return undefined;
  if (/[\x80-\xff]/.test(plain) && !isUtf8(Buffer.from(plain, 'latin1'))) return undefined;
  return plain;
}

function unescapePath(path: string): string | undefined {
  if (/%(?![0-9a-f]{2})|%2f/i.test(path)) return undefined;
  return path.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

export function compilePath(text: string): PathPattern {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const plain = unescapePath(bytes) ?? bytes;
  const star = plain.indexOf('*');
  if (star < 0) return { text, matches: (path) => path === plain };
  const prefix = plain.slice(0, star);
  const rest = plain.slice(star);
  if (rest === '**') return { text, matches: (path) => path.startsWith(prefix) };
  // A whole `**` segment may also stand for no segment at all.
  const tokens = tokenize(rest, prefix.endsWith('/'));
  return {
    text,
    matches: (path) => path.startsWith(prefix) && run(tokens, path, prefix.length),
  };
}

const STAR = -1;
const ACROSS = -2;
/** `**` and the slash after it: nothing, or anything that ends in a slash. */
const SEGMENTS = -3;
const SLASH = 0x2f;

function tokenize(glob: string, afterSlash: boolean): number[] {
  const tokens: number[] = [];
  for (let i = 0; i < glob.length; i++) {
    const startsSegment = i === 0 ? afterSlash : glob[i - 1] === '/';
    if (glob.startsWith('**/', i) && startsSegment) {
      tokens.push(SEGMENTS);
      i += 2;
    } else if (glob.startsWith('**', i)) {
      tokens.push(ACROSS);
      i += 1;
    } else tokens.push(glob[i] === '*' ? STAR : glob.charCodeAt(i));
  }
  return tokens;
}

/**
 * Follows all ways through the pattern at once: length of path times length of pattern, whatever the client sends. A
 * backtracking expression would let a crafted path stall the gateway.
 */
function run(tokens: readonly number[], path: string, from: number): boolean {
  let now = new Uint8Array(tokens.length + 1);
  let next = new Uint8Array(tokens.length + 1);
  enter(tokens, now, 0);
  for (let at = from; at < path.length; at++) {
    const char = path.charCodeAt(at);
    next.fill(0);
    for (let i = 0; i < tokens.length; i++) if (now[i] === 1) step(tokens, next, i, char);
    [now, next] = [next, now];
  }
  return now[tokens.length] === 1;
}

function step(tokens: readonly number[], next: Uint8Array, at: number, char: number): void {
  const token = tokens[at] as number;
  if (token === char) enter(tokens, next, at + 1);
  if (token >= 0 || (token === STAR && char === SLASH)) return;
  next[at] = 1;
  if (token !== SEGMENTS || char === SLASH) enter(tokens, next, at + 1);
}

/** Wildcards may stand for nothing, so arriving at one is arriving behind it too. */
function enter(tokens: readonly number[], states: Uint8Array, at: number): void {
  for (let i = at; ; i++) {
    states[i] = 1;
    if (i === tokens.length || (tokens[i] as number) >= 0) return;
  }
}

/** A plain path that both globs match, or undefined when there is none. */
export function commonPath(a: string, b: string): string | undefined {
  const path = findCommon(a, b);
  if (path === undefined) return undefined;
  // Two wildcards may have met around nothing, which leaves an empty segment.
  const variants = [path, path.replace(/\/{2,}/g, '/'), path.replace(/\/(?=\/)/g, '/x')];
  const [first, second] = [compilePath(a), compilePath(b)];
  return variants.find((each) => {
    const plain = plainPath(each);
    return plain !== undefined && first.matches(plain) && second.matches(plain);
  });
}

function findCommon(a: string, b: string): string | undefined {
  const dead = new Set<number>();
  const search = (i: number, j: number): string | undefined => {
    if (i === a.length && j === b.length) return '';
    const key = i * (b.length + 1) + j;
    if (dead.has(key)) return undefined;
    for (const [char, di, dj] of stepsTogether(a, i, b, j)) {
      const rest = search(i + di, j + dj);
      if (rest !== undefined) return char + rest;
    }
    dead.add(key);
    return undefined;
  };
  return search(0, 0);
}

type Step = readonly [char: string, inA: number, inB: number];

/** Ways to go on in both globs: ending a wildcard, or one character that both take. */
function stepsTogether(a: string, i: number, b: string, j: number): Step[] {
  const [wildA, wildB] = [wildcardAt(a, i), wildcardAt(b, j)];
  if (wildA === 0 && wildB === 0) {
    return a[i] === b[j] && i < a.length ? [[a[i] as string, 1, 1]] : [];
  }
  const steps: Step[] = [];
  if (wildA > 0 && wildB > 0) steps.push(['x', wildA, wildB]);
  if (wildA > 0 && wildB === 0 && j < b.length && (wildA > 1 || b[j] !== '/')) {
    steps.push([b[j] as string, 0, 1]);
  }
  if (wildB > 0 && wildA === 0 && i < a.length && (wildB > 1 || a[i] !== '/')) {
    steps.push([a[i] as string, 1, 0]);
  }
  if (wildA > 0) steps.push(['', wildA, 0]);
  if (wildB > 0) steps.push(['', 0, wildB]);
  return steps;
}

/** The length of the wildcard that stands there: 2 for one that crosses segments, 0 for none. */
function wildcardAt(glob: string, at: number): number {
  if (glob[at] !== '*') return 0;
  return glob[at + 1] === '*' ? 2 : 1;
}
