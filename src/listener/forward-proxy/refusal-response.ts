import type { RefusalNotice } from '../../core/conversation.ts';
import { REASONS, TROUBLES, type Trouble } from '../../core/reasons.ts';

/** An answer of the gateway itself: a refusal, or trouble on the way out. */
export interface OwnAnswer {
  readonly status: number;
  readonly code: string;
  /** The exchange, for `sekisho why`. */
  readonly id: string;
  /** Ordered facts for the reader in a hurry. No header of the request and no internal address is ever among them. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly says: string;
}

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  407: 'Proxy Authentication Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

export function refusalAnswer(notice: RefusalNotice): OwnAnswer {
  const { decision, id } = notice;
  const { status, says, todo } = REASONS[decision.reason];
  const facts: [string, string][] = [];
  if (decision.detail !== undefined) facts.push(['because', decision.detail]);
  if (notice.principal !== undefined) facts.push(['principal', notice.principal.name]);
  if (decision.rule !== undefined) facts.push(['rule', decision.rule]);
  if (notice.contact !== undefined) facts.push(['contact', notice.contact]);
  facts.push(['to do', todo]);
  return {
    status: typeof status === 'number' ? status : 403,
    code: decision.reason,
    id,
    facts,
    says,
  };
}

export function troubleAnswer(trouble: Trouble, id: string): OwnAnswer {
  const { status, says } = TROUBLES[trouble];
  return { status, code: trouble, id, facts: [], says };
}

export interface AnswerForm {
  /** RFC 9457, for clients that ask for JSON. */
  readonly json: boolean;
  readonly close: boolean;
  /** Challenges for a 407; one is always sent, since Java and .NET clients break on a 407 without. */
  readonly schemes: readonly string[];
  /** A HEAD request: the head alone. */
  readonly headOnly: boolean;
}

/**
 * The bytes of an own answer. The status line carries reason and id, since for CONNECT most clients show nothing else.
 */
export function encodeAnswer(answer: OwnAnswer, form: AnswerForm): Buffer {
  const { status, code, id } = answer;
  const body = form.json ? problemJson(answer) : plainLines(answer);
  const lines = [
    `HTTP/1.1 ${status} ${PHRASES[status] ?? 'Refused'}: ${code} (sekisho ${id})`,
    `Sekisho-Reason: ${code}`,
    `Sekisho-Exchange: ${id}`,
  ];
  if (status === 407) {
    for (const scheme of schemesFor(code, form))
      lines.push(`Proxy-Authenticate: ${scheme} realm="sekisho"`);
  }
  lines.push(
    `Content-Type: ${form.json ? 'application/problem+json' : 'text/plain; charset=utf-8'}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    form.close ? 'Connection: close' : 'Connection: keep-alive',
  );
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${form.headOnly ? '' : body}`);
}

/** A missing credential is nothing that the client could show. */
function schemesFor(code: string, { schemes }: AnswerForm): readonly string[] {
  if (code === 'credential-missing') return ['Sekisho-Credential'];
  return schemes.length > 0 ? schemes : ['Basic'];
}

function plainLines(answer: OwnAnswer): string {
  const facts = [...answer.facts, ['exchange', answer.id], ['help', helpLink(answer.code)]];
  const lines = facts.map(([name, value]) => `  ${name?.padEnd(10)} ${value}`);
  return `Sekisho ${answer.status}: ${answer.code}. ${answer.says}\n\n${lines.join('\n')}\n`;
}

function problemJson(answer: OwnAnswer): string {
  return `${JSON.stringify({
    type: helpLink(answer.code),
    title: answer.says,
    status: answer.status,
    reason: answer.code,
    exchange: answer.id,
    ...Object.fromEntries(answer.facts.map(([name, value]) => [name.replace(' ', ''), value])),
  })}\n`;
}

function helpLink(code: string): string {
  return `docs/errors.md#${code}`;
}
