import { Resolver as Dns } from 'node:dns/promises';
import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';
import { inDialOrder } from './address-order.ts';

/** One try of one server; c-ares doubles it from round to round. */
const TRY_MS = 1_000;
const TRIES = 3;

export interface NameServer {
  readonly ip: Ip;
  readonly port: number;
}

export interface LookupOptions {
  /** Empty: those of /etc/resolv.conf, as it is at the time. */
  readonly servers: readonly NameServer[];
  readonly timeoutMs: number;
  /** How long the second family is waited for once the first has answered. */
  readonly resolutionDelayMs: number;
}

/** What DNS says of a name. */
export interface Answer {
  /** In the order to dial. Empty: there are none, or `trouble` says why nobody knows. */
  readonly ips: readonly Ip[];
  /** The least TTL among the records, in seconds. */
  readonly ttl: number;
  /** Which questions were not answered, and why: `AAAA: ESERVFAIL`. */
  readonly trouble: string | undefined;
}

export interface Lookup {
  /** Never rejects, and settles within the time limit. */
  readonly answer: Promise<Answer>;
  cancel(): void;
}

/**
 * Asks for A and AAAA in parallel. Once one family has addresses, the other gets a short time to follow (RFC 8305
 * section 3). Names are taken as they stand: no search domains, no aliases.
 */
export function lookUp(host: Hostname, options: LookupOptions): Lookup {
  const questions = [
    ask('A', options, (dns) => dns.resolve4(host.name, { ttl: true })),
    ask('AAAA', options, (dns) => dns.resolve6(host.name, { ttl: true })),
  ];
  const cancel = () => {
    for (const question of questions) question.cancel();
  };
  const timers = [setTimeout(cancel, options.timeoutMs)];
  const waitBriefly = (reply: Answer): Answer => {
    if (reply.ips.length > 0) timers.push(setTimeout(cancel, options.resolutionDelayMs));
    return reply;
  };
  const replies = Promise.all(questions.map((question) => question.answer.then(waitBriefly)));
  const answer = replies.then((both) => {
    timers.forEach(clearTimeout);
    return merge(both);
  });
  return { answer, cancel };
}

/**
 * One question, with a c-ares channel of its own: so it leaves from a new random port (RFC 5452 section 9.2), is not lost
 * when the reply to the other one is malformed, and follows a change of /etc/resolv.conf. Costs some 50 µs.
 */
function ask(
  type: 'A' | 'AAAA',
  options: LookupOptions,
  query: (dns: Dns) => Promise<readonly AddressRecord[]>,
): Lookup {
  const dns = new Dns({ timeout: Math.min(TRY_MS, options.timeoutMs), tries: TRIES });
  if (options.servers.length > 0) {
    dns.setServers(options.servers.map(({ ip, port }) => `${ip.bracketed}:${port}`));
  }
  const answer = query(dns).then(answered, (error: NodeJS.ErrnoException) =>
    unanswered(type, error),
  );
  return { answer, cancel: () => dns.cancel() };
}

interface AddressRecord {
  readonly address: string;
  readonly ttl: number;
}

function answered(records: readonly AddressRecord[]): Answer {
  const ips = records.map((record) => Ip.parse(record.address)).filter((ip) => ip !== undefined);
  return { ips, ttl: Math.min(...records.map((record) => record.ttl)), trouble: undefined };
}

function unanswered(type: 'A' | 'AAAA', { code, message }: NodeJS.ErrnoException): Answer {
  const nothing = { ips: [], ttl: Number.POSITIVE_INFINITY };
  if (code === 'ENOTFOUND' || code === 'ENODATA') return { ...nothing, trouble: undefined };
  const why = code === 'ECANCELLED' ? 'no answer in time' : (code ?? message);
  return { ...nothing, trouble: `${type}: ${why}` };
}

function merge(answers: readonly Answer[]): Answer {
  const troubles = answers.map((answer) => answer.trouble).filter((text) => text !== undefined);
  return {
    ips: inDialOrder(answers.flatMap((answer) => answer.ips)),
    ttl: Math.min(...answers.map((answer) => answer.ttl)),
    trouble: troubles.length === 0 ? undefined : troubles.join(', '),
  };
}
