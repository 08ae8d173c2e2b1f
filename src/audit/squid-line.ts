import { passes } from '../core/decision.ts';
import type { OutcomeEvent } from './event.ts';

/**
 * An outcome as Squid's native access log has it, `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt`: one line
 * of ten fields, whatever the client sent. Bytes count the payload without heads; the content type is not known.
 *
 * Source: https://wiki.squid-cache.org/Features/LogFormat, "squid".
 */
export function squidLine(event: OutcomeEvent): string {
  const { time, client, action, principal, outcome } = event;
  const milliseconds = Date.parse(time);
  const fields = [
    `${Math.floor(milliseconds / 1000)}.${String(milliseconds % 1000).padStart(3, '0')}`,
    String(Math.round(outcome.durationMs)).padStart(6),
    field(hostOf(client)),
    `${resultCode(event)}/${String(outcome.status ?? 0).padStart(3, '0')}`,
    String(outcome.bytesDown),
    field(action),
    field(url(event)),
    field(principal ?? '-'),
    hierarchy(event),
    '-',
  ];
  return `${fields.join(' ')}\n`;
}

function resultCode({ decision, action, outcome }: OutcomeEvent): string {
  if (outcome.status === null || decision === null) return 'NONE_NONE';
  if (!passes(decision)) return 'TCP_DENIED';
  return action === 'CONNECT' ? 'TCP_TUNNEL' : 'TCP_MISS';
}

function url({ destination, action, path }: OutcomeEvent): string {
  if (destination === null) return 'error:invalid-request';
  if (action === 'CONNECT') return destination;
  return `http://${destination.replace(/:80$/, '')}${path ?? '/'}`;
}

function hierarchy({ decision, address, parent }: OutcomeEvent): string {
  if (decision === null || !passes(decision)) return 'HIER_NONE/-';
  if (parent !== undefined) return `FIRSTUP_PARENT/${hostOf(parent.name)}`;
  return address === null ? 'HIER_NONE/-' : `HIER_DIRECT/${address}`;
}

/** Of `host:port`, an IPv6 address without its brackets. */
function hostOf(text: string): string {
  return text.slice(0, text.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
}

/** Percent-encodes, as Squid does, what would end a field, a line, or act upon a terminal. */
function field(text: string): string {
  const encoded = Buffer.from(text).reduce(
    (done, byte) => done + (byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : percent(byte)),
    '',
  );
  return encoded === '' ? '-' : encoded;
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
