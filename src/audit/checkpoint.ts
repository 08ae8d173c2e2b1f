import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import type { CountedHead } from './segment.ts';

/** What a checkpoint says of a segment. */
export type Boundary = CountedHead;

/**
 * One line of `checkpoints.jsonl`. `checkpoint`: the segments that are new or have grown since the statement before.
 * `expired`: segments that were deleted because of their age, and where they ended.
 */
export interface Statement {
  readonly type: 'checkpoint' | 'expired';
  /** From 1 on, without a gap. */
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly gateway: string;
  readonly segments: readonly Boundary[];
  /** The SHA-256, in hex, of the line before, without its newline; null in the first. */
  readonly previous: string | null;
  /** The public key that fits the signature: SubjectPublicKeyInfo, in base64; null: not signed. */
  readonly key: string | null;
}

const SIGNATURE = ',"signature":';

/** @param key an Ed25519 private key; undefined: not signed */
export function statementLine(
  statement: Omit<Statement, 'key'>,
  key: KeyObject | undefined,
): string {
  const publicKey = key === undefined ? null : keyText(createPublicKey(key));
  const signed = JSON.stringify({ ...statement, key: publicKey }).slice(0, -1);
  const signature = key && sign(null, Buffer.from(signed), key).toString('base64');
  return `${signed}${SIGNATURE}${JSON.stringify(signature ?? null)}}`;
}

export function statementHash(line: Buffer | string): string {
  return hash('sha256', line, 'hex');
}

/** A public key as statements name it. */
export function keyText(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).toString('base64');
}

/** @returns undefined for what is no statement */
export function parseStatement(line: Buffer): Statement | undefined {
  try {
    const statement: unknown = JSON.parse(line.toString());
    return isStatement(statement) ? statement : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the signature is that of the key which the statement names; what key that is, is for the reader to judge. */
export function isSigned(line: Buffer, { key }: Statement): boolean {
  const end = line.lastIndexOf(SIGNATURE);
  const signature = /^"([A-Za-z0-9+/]{86}==)"\}$/.exec(
    line.toString('latin1', end + SIGNATURE.length),
  )?.[1];
  if (key === null || end < 0 || signature === undefined) return false;
  try {
    const publicKey = createPublicKey({
      key: Buffer.from(key, 'base64'),
      format: 'der',
      type: 'spki',
    });
    if (publicKey.asymmetricKeyType !== 'ed25519') return false;
    const bytes = Buffer.from(signature, 'base64');
    // The last digit has bits to spare: written otherwise, it is not what the gateway wrote.
    if (bytes.toString('base64') !== signature) return false;
    return verify(null, line.subarray(0, end), publicKey, bytes);
  } catch {
    return false;
  }
}

function isStatement(value: unknown): value is Statement {
  const { type, number, time, gateway, segments, previous, key } = value as Record<string, unknown>;
  return (
    (type === 'checkpoint' || type === 'expired') &&
    Number.isSafeInteger(number) &&
    typeof time === 'string' &&
    typeof gateway === 'string' &&
    isTextOrNull(previous) &&
    isTextOrNull(key) &&
    Array.isArray(segments) &&
    segments.every(isBoundary)
  );
}

function isBoundary(value: unknown): value is Boundary {
  const { segment, length, lines, chain, closed } = value as Record<string, unknown>;
  return (
    typeof segment === 'string' &&
    Number.isSafeInteger(length) &&
    Number.isSafeInteger(lines) &&
    isTextOrNull(chain) &&
    typeof closed === 'boolean'
  );
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}
