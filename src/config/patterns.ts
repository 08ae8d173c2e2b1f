import { Fault, quote } from '../core/diagnostic.ts';
import { Hostname } from '../core/hostname.ts';
import { Cidr } from '../core/ip.ts';
import { Refusal } from '../core/refusal.ts';
import type { DestinationPattern, HostPattern, NetworkPattern } from './config.ts';
import type { Names } from './names.ts';
import { isWord, parseNetwork } from './networks.ts';
import { notYetText } from './shape.ts';

/** What a rule's `to` may hold. @throws Fault */
export function parseDestination(text: string, names: Names): DestinationPattern {
  if (text === '*') return { kind: 'any' };
  if (isWord(text)) return { kind: 'set', set: names.useSet(text) };
  return parseEntry(text);
}

/** What a set may hold: no sets, no `*`. @throws Fault */
export function parseSetEntry(text: string): HostPattern | NetworkPattern {
  if (text === '*') throw new Fault('a set cannot hold "*"', 'write "*" in the rule instead');
  if (!isWord(text)) return parseEntry(text);
  throw new Fault(
    `a set cannot hold ${quote(text)}, which would be another set`,
    `a one-label host ends in a dot: ${quote(`${text}.`)}`,
  );
}

function parseEntry(text: string): HostPattern | NetworkPattern {
  refuseOtherForms(text);
  if (looksNumeric(text)) return { kind: 'network', cidr: parseNetwork(text) };
  if (text.startsWith('*.')) return suffix(text.slice(2), false);
  if (text.startsWith('.')) return suffix(text.slice(1), true);
  return { kind: 'host', host: parseHost(text) };
}

function suffix(text: string, apex: boolean): HostPattern {
  return { kind: 'suffix', suffix: parseHost(text), apex };
}

/** An address, a network, or what its author took for one. */
function looksNumeric(text: string): boolean {
  return /^[0-9.]+(?:\/.*)?$/.test(text) || (text.includes(':') && /^[0-9a-f:./]+$/i.test(text));
}

function parseHost(text: string): Hostname {
  try {
    return Hostname.parseWritten(text);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Fault(
      `${quote(text)} is not a host: ${error.message}`,
      'write host, .host, "*.host", an address, a network or a set',
    );
  }
}

function refuseOtherForms(text: string): void {
  const later = /^(database|route):/.exec(text);
  if (later !== null) {
    const [message, remedy] = notYetText(`${later[1]}:`).split('\n') as [string, string];
    throw new Fault(message, remedy);
  }
  if (text.includes('://')) {
    throw new Fault(`${quote(text)} is a URL`, 'write its host alone; paths go under paths');
  }
  if (text.startsWith('[')) {
    throw new Fault(`${quote(text)} has brackets`, 'write an IPv6 address without them');
  }
  const port = /^([^:]+):(\d+)$/.exec(text);
  if (port !== null && Cidr.parse(text) === undefined) {
    throw new Fault(`${quote(text)} names a port`, `write ${port[1]}, and ports: [${port[2]}]`);
  }
  if (text.lastIndexOf('*') > 0 || /^\*[^.]/.test(text)) {
    throw new Fault(
      `${quote(text)} has a * where none can stand`,
      'write .host for it and all below, or "*.host" for what is below',
    );
  }
}
