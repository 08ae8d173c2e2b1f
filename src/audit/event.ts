import type { Outcome, Unmasked } from '../core/conversation.ts';
import type { Decision, Stage } from '../core/decision.ts';
import type { IdentityMethod } from '../core/principal.ts';
import type { Reason, Trouble } from '../core/reasons.ts';
import type { TrafficClass } from '../core/traffic-class.ts';
import { printable } from './printable.ts';

/** What is the same in every event of an exchange. */
export interface ExchangeFacts {
  readonly gateway: string;
  readonly listener: string;
  /** `10.0.0.5:41234`, `[2001:db8::5]:41234`. */
  readonly client: string;
  /** The peer of the TCP connection, where that is not the client. */
  readonly peer?: string;
  readonly principal: string | null;
  readonly identifiedBy: IdentityMethod | null;
  readonly action: string;
  /** Of a request that can be read; without its query, since queries carry secrets. */
  readonly path?: string;
  /** What the request came in, where that was not HTTP/1. */
  readonly protocol?: 'h2';
  /** `host:port`; null when the request named none that can be taken. */
  readonly destination: string | null;
}

/** What the last decision settled. */
export interface Standing {
  /** The destination's address, which is dialled here or asked of the parent proxy; null where that resolves. */
  readonly address: string | null;
  readonly class: TrafficClass;
  /** null only in the outcome of an exchange that broke before anything was decided. */
  readonly decision: RecordedDecision | null;
  /** The digest of the policy that decided. */
  readonly policy: string;
  readonly exit: string | null;
  /** The credential that the request takes on, and the version of its secret once that was read. Never the secret. */
  readonly credential?: { readonly name: string; readonly version: string | null };
  /** The TLS inside this tunnel is opened: its requests have records of their own. */
  readonly intercepted?: true;
  /** The parent proxy that the exit leads through, and its address once it was dialled. */
  readonly parent?: { readonly name: string; readonly address: string | null };
}

export interface RecordedDecision {
  readonly stage: Stage;
  readonly effect: Decision['effect'];
  readonly reason: Reason;
  readonly rule: string | null;
  readonly mode: Decision['mode'];
  readonly detail?: string;
}

export interface RecordedOutcome {
  readonly status: number | null;
  readonly error: Trouble | null;
  /** What the error was, for whoever reads the record. */
  readonly detail?: string;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly durationMs: number;
  /** Why what came back could not be looked at whole for the credential. */
  readonly unmasked?: Unmasked;
}

interface ExchangeEvent extends ExchangeFacts, Standing {
  /** A UUIDv7: it tells when the exchange began. */
  readonly id: string;
  /** When this happened: ISO 8601, UTC. */
  readonly time: string;
}

export interface DecisionEvent extends ExchangeEvent {
  readonly type: 'decision';
}

export interface OutcomeEvent extends ExchangeEvent {
  readonly type: 'outcome';
  readonly tls: { readonly sni: string | null; readonly alpn: readonly string[] } | null;
  readonly outcome: RecordedOutcome;
}

/** Refusals of one client that were counted instead of written. */
export interface SuppressedEvent {
  readonly type: 'suppressed';
  readonly time: string;
  readonly gateway: string;
  /** null: clients beyond those that are counted one by one. */
  readonly client: string | null;
  readonly count: number;
  readonly from: string;
  readonly to: string;
}

/** Another policy came in force. */
export interface ReloadEvent {
  readonly type: 'reload';
  readonly time: string;
  readonly gateway: string;
  /** Digests of the policy before and after. */
  readonly from: string;
  readonly to: string;
  /** Who gains, loses, or goes another way: the first of them, and how many there are. */
  readonly differences: readonly object[];
  readonly count: number;
  /** Tunnels that were closed because they are no longer allowed. */
  readonly ended: number;
}

/** What sets hold by published lists is another thing than before; the policy is the same. */
export interface RefreshEvent {
  readonly type: 'refresh';
  readonly time: string;
  readonly gateway: string;
  /** The digest of the policy. */
  readonly policy: string;
  readonly sets: readonly SetRefresh[];
  /** Tunnels that were closed because they are no longer allowed. */
  readonly ended: number;
}

/** How one set changed. */
export interface SetRefresh {
  readonly set: string;
  /** Its list is too old: nobody passes by it. */
  readonly closed: boolean;
  /** The version of its list; null where that has none. */
  readonly token: string | null;
  /** Of all that it holds from now on: its networks in order, one to a line. */
  readonly sha256: string;
  readonly networks: number;
  /** The first of the networks that came and went, and how many there are. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly counts: { readonly added: number; readonly removed: number };
}

/** An allow-list elsewhere was brought to hold published ranges: once before it is changed, once when that is over. */
export interface RangesEvent {
  readonly type: 'ranges';
  readonly time: string;
  readonly gateway: string;
  readonly target: string;
  readonly stage: 'plan' | 'applied' | 'failed';
  /** The versions of the published lists, by set; null where a list has none. */
  readonly tokens: Readonly<Record<string, string | null>>;
  /** `CONTAINER NETWORK PERMISSION` of the first of them, and how many there are. */
  readonly add: readonly string[];
  readonly move: readonly string[];
  readonly remove: readonly string[];
  readonly counts: { readonly add: number; readonly move: number; readonly remove: number };
  readonly detail?: string;
}

/** What stands for itself, away from the path of an exchange. */
export type OwnEvent = SuppressedEvent | ReloadEvent | RefreshEvent | RangesEvent;

export type AuditEvent = DecisionEvent | OutcomeEvent | OwnEvent;

// What an event leaves out is undefined here: an object that has a property only at times costs more than to write all others.

/** An exchange's facts as they stand in each of its lines: encoded once. */
export function encodeFacts(
  facts: Omit<ExchangeFacts, 'peer' | 'path' | 'protocol'> & {
    readonly peer: string | undefined;
    readonly path: string | undefined;
    readonly protocol: 'h2' | undefined;
  },
): string {
  const peer = facts.peer === undefined ? '' : `"peer":${quote(facts.peer)},`;
  const path = facts.path === undefined ? '' : `"path":${quote(facts.path)},`;
  const protocol = facts.protocol === undefined ? '' : `"protocol":"${facts.protocol}",`;
  return inOnePiece(
    `"gateway":${quote(facts.gateway)},"listener":${quote(facts.listener)},` +
      `"client":${quote(facts.client)},${peer}` +
      `"principal":${quoteOrNull(facts.principal)},"identifiedBy":${quoteOrNull(facts.identifiedBy)},` +
      `"action":${quote(facts.action)},${path}${protocol}"destination":${quoteOrNull(facts.destination)}`,
  );
}

/** What the decision line and the outcome line after it share besides the facts. */
export function encodeStanding(
  standing: Omit<Standing, 'decision' | 'parent' | 'credential' | 'intercepted'> & {
    readonly decision: Decision | undefined;
    readonly parent: Standing['parent'] | undefined;
    readonly credential: Standing['credential'] | undefined;
    readonly intercepted: boolean;
  },
): string {
  const { client, way, destination, external } = standing.class;
  return inOnePiece(
    `"address":${quoteOrNull(standing.address)},` +
      `"class":{"client":"${client}","way":${quoteOrNull(way)},` +
      `"destination":${quoteOrNull(destination)},"external":${external}},` +
      `"decision":${encodeDecision(standing.decision)},` +
      `"policy":${quote(standing.policy)},"exit":${quoteOrNull(standing.exit)}` +
      parentField(standing.parent) +
      credentialField(standing.credential) +
      (standing.intercepted ? ',"intercepted":true' : ''),
  );
}

/**
 * A text that lasts as long as its exchange, for days in the case of a tunnel. V8 joins texts by a tree of their pieces, four
 * times as large, until somebody looks at a character.
 */
function inOnePiece(text: string): string {
  text.charCodeAt(0);
  return text;
}

function parentField(parent: Standing['parent'] | undefined): string {
  if (parent === undefined) return '';
  return `,"parent":{"name":${quote(parent.name)},"address":${quoteOrNull(parent.address)}}`;
}

function credentialField(credential: Standing['credential'] | undefined): string {
  if (credential === undefined) return '';
  const { name, version } = credential;
  return `,"credential":{"name":${quote(name)},"version":${quoteOrNull(version)}}`;
}

/** As a `RecordedDecision`. */
function encodeDecision(decision: Decision | undefined): string {
  if (decision === undefined) return 'null';
  const { stage, effect, reason, rule = null, mode, detail } = decision;
  return (
    `{"stage":"${stage}","effect":"${effect}","reason":"${reason}",` +
    `"rule":${quoteOrNull(rule)},"mode":"${mode}"${detailField(detail)}}`
  );
}

/** @param facts from `encodeFacts` @param standing from `encodeStanding` */
export function decisionLine(id: string, time: string, facts: string, standing: string): string {
  return `{"type":"decision","id":"${id}","time":"${time}",${facts},${standing}}\n`;
}

export function outcomeLine(
  id: string,
  time: string,
  facts: string,
  standing: string,
  outcome: Outcome,
  durationMs: number,
): string {
  const { status, error, detail, bytesUp, bytesDown, tls, unmasked } = outcome;
  const hello =
    tls === undefined
      ? 'null'
      : `{"sni":${quoteOrNull(tls.sni)},"alpn":[${tls.alpn.map(quote).join(',')}]}`;
  return (
    `{"type":"outcome","id":"${id}","time":"${time}",${facts},${standing},"tls":${hello},` +
    `"outcome":{"status":${status},"error":${quoteOrNull(error)}${detailField(detail)},` +
    `"bytesUp":${bytesUp},"bytesDown":${bytesDown},"durationMs":${durationMs}` +
    `${unmasked === undefined ? '' : `,"unmasked":"${unmasked}"`}}}\n`
  );
}

export function eventLine(event: OwnEvent): string {
  return `${printable(JSON.stringify(event))}\n`;
}

function detailField(detail: string | undefined): string {
  return detail === undefined || detail === '' ? '' : `,"detail":${quote(detail)}`;
}

function quoteOrNull(text: string | null): string {
  return text === null ? 'null' : quote(text);
}

function quote(text: string): string {
  return isPlain(text) ? `"${text}"` : printable(JSON.stringify(text));
}

/** Whether JSON writes a text as it stands. A loop, since most are short: an expression takes several times as long. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) return false;
  }
  return true;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
