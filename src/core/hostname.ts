import { domainToASCII } from 'node:url';
import { Refusal } from './refusal.ts';

const MAX_NAME = 253;
const MAX_LABEL = 63;

/**
 * A DNS name as it stands everywhere after the edge: lower case, A-labels, no trailing dot.
 *
 * Two spellings of one name give the same text, so that the name which is decided on, looked up, compared with the SNI
 * and sent as Host can only be one.
 */
export class Hostname {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * Parses the host of a request. Wire form only: letters, digits, hyphen and underscore, one optional trailing dot.
   *
   * @throws Refusal `request-invalid` for a form that is no name, `destination-invalid` for one that other software
   *   would read as an address (a numeric last label: WHATWG URL, "ends in a number").
   */
  static parse(text: string): Hostname {
    const name = canonical(text);
    const labels = name.split('.');
    for (const label of labels) checkLabel(label);
    const last = labels[labels.length - 1] as string;
    if (endsInNumber(last)) {
      throw new Refusal(
        'destination-invalid',
        'a numeric last label makes this an address in disguise',
      );
    }
    if (last.startsWith('_')) {
      throw new Refusal('request-invalid', 'a top-level label must not begin with an underscore');
    }
    return new Hostname(name);
  }

  /**
   * Parses a name that a person wrote in a configuration: as `parse`, and also IDN (`bücher.example`).
   *
   * @throws Refusal as `parse`.
   */
  static parseWritten(text: string): Hostname {
    if (!/[^\x00-\x7f]/.test(text)) return Hostname.parse(text);
    const ascii = domainToASCII(text);
    if (ascii === '')
      throw new Refusal('request-invalid', 'this international name has no ASCII form');
    return Hostname.parse(ascii);
  }

  /** Means whichever host looks it up, so it never leaves this one (RFC 6761 6.3). */
  get isLocalhost(): boolean {
    return this.name === 'localhost' || this.name.endsWith('.localhost');
  }

  toString(): string {
    return this.name;
  }

  toJSON(): string {
    return this.name;
  }
}

function canonical(text: string): string {
  // Checked before lowering the case: U+212A lowers to a plain "k".
  if (/[^\x21-\x7e]/.test(text)) {
    throw new Refusal('request-invalid', 'the host has a character that no DNS name has');
  }
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase();
  if (name === '') throw new Refusal('request-invalid', 'the host is empty');
  if (name.length > MAX_NAME) {
    throw new Refusal('request-invalid', `the host is longer than ${MAX_NAME} characters`);
  }
  return name;
}

// RFC 1123 2.1 with the underscore that real service names carry; everything else (percent escapes, NUL, brackets,
// spaces, non-ASCII) is where two parsers come to disagree about which host is meant.
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;

function checkLabel(label: string): void {
  if (label === '') throw new Refusal('request-invalid', 'the host has an empty label');
  if (label.length > MAX_LABEL) {
    throw new Refusal(
      'request-invalid',
      `a label of the host is longer than ${MAX_LABEL} characters`,
    );
  }
  if (!LABEL.test(label)) {
    throw new Refusal('request-invalid', 'the host has a character that no DNS name has');
  }
}

function endsInNumber(label: string): boolean {
  return /^(?:[0-9]+|0x[0-9a-f]*)$/.test(label);
}
