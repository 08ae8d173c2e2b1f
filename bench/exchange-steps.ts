import { Chainer } from '../src/audit/chain.ts';
import type { Recorded } from '../src/audit/ledger.ts';
import { RecentExchanges } from '../src/audit/recent.ts';
import { Recorder, type RecorderMeter } from '../src/audit/recorder.ts';
import type { AuditWriter } from '../src/audit/writer.ts';
import { Ip } from '../src/core/ip.ts';
import type { Principal } from '../src/core/principal.ts';
import { requestHead, responseHead } from '../src/listener/forward-proxy/forwarded-head.ts';
import { readTarget } from '../src/listener/forward-proxy/target.ts';
import type { Parts } from '../src/parts.ts';
import { decideAddresses, decideName } from '../src/policy/policy.ts';
import { requestFraming, responseFraming } from '../src/wire/http1/framing.ts';
import { HeadReader } from '../src/wire/http1/head-reader.ts';
import { parseRequestHead } from '../src/wire/http1/request-head.ts';
import { parseResponseHead } from '../src/wire/http1/response-head.ts';

const LIMITS = { bytes: 65_536, fields: 256 };
const HOP = { via: 'sekisho-01234567', protocol: undefined };
/** Lines that are written together under load. */
const BATCH = 32;
const DONE = Promise.resolve();

export interface Step {
  readonly name: string;
  readonly work: () => void;
  /** How often `work` does it. */
  readonly times: number;
}

/** Single steps of an exchange. Nothing in them waits. */
export function steps(parts: Parts, requestBytes: Buffer, responseBytes: Buffer): readonly Step[] {
  const { identifier, policy, identityHeaders } = parts.inForce;
  const reader = new HeadReader(parseRequestHead, LIMITS);
  const answers = new HeadReader(parseResponseHead, LIMITS);
  const head = parseRequestHead(requestBytes, LIMITS);
  const response = parseResponseHead(
    responseBytes.subarray(0, responseBytes.indexOf('\r\n\r\n') + 4),
    LIMITS,
  );
  const target = readTarget(head);
  const { destination, request } = target;
  const client = Ip.parse('10.0.0.5') as Ip;
  const evidence = { client, header: (name: string) => head.fields.values(name) };
  const identified = identifier.identify(evidence);
  const principal = 'principal' in identified ? identified.principal : undefined;
  const question = { principal, destination, request, now: parts.now() };
  const ips = [Ip.parse('::1') as Ip, Ip.parse('127.0.0.1') as Ip];
  const decided = decideAddresses(policy, question, ips, parts.own);
  const onward = {
    identityHeaders,
    trace: undefined,
    ...HOP,
    absolute: undefined,
    injection: undefined,
  };
  const { record, lines } = recording({
    listener: 'egress',
    client: { ip: client, port: 41_234 },
    peer: client,
    action: head.method,
    destination,
    request,
  });
  const chainer = new Chainer();
  const batch = Array.from({ length: BATCH }, (_, i) => {
    if (i % 2 === 0) record(principal, decided);
    return lines[i % 2] as string;
  });
  return [
    step('read the head of a request', () => {
      reader.reset();
      reader.push(requestBytes);
    }),
    step('read its target', () => readTarget(head)),
    step('identify', () => identifier.identify(evidence)),
    step('decide on its name', () => decideName(policy, question)),
    step('decide on two addresses', () => decideAddresses(policy, question, ips, parts.own)),
    step('build its record', () => record(principal, decided)),
    step('chain two lines', () => chainer.chain('0'.repeat(64), batch), BATCH / 2),
    step('write the head anew', () => requestHead(head, target, requestFraming(head), onward)),
    step('read the head of the response', () => {
      answers.reset();
      answers.push(responseBytes);
    }),
    step('write that anew', () =>
      responseHead(response, responseFraming(response, 'GET'), undefined, HOP),
    ),
  ];
}

function step(name: string, work: () => void, times = 1): Step {
  return { name, work, times };
}

/** A record whose lines are built and remembered as always, and written nowhere. */
function recording(conversation: Recorded) {
  const lines: string[] = [];
  let written = 0;
  const writer: AuditWriter = {
    write(line) {
      lines[written++ % 2] = line;
      return DONE;
    },
    adopt() {},
    close: () => DONE,
  };
  const meter: RecorderMeter = { passed() {}, exchangeEnded() {}, refusalSuppressed() {} };
  const recorder = new Recorder(
    {
      gateway: 'bench',
      writer,
      recent: new RecentExchanges(),
      meter,
      now: Date.now,
      elapsed: () => performance.now(),
      writers: 1,
    },
    { policy: `sha256:${'0'.repeat(64)}`, owned: [], onFailure: 'deny' },
  );
  const record = (
    principal: Principal | undefined,
    { decision, addresses }: ReturnType<typeof decideAddresses>,
  ) => {
    const exchange = recorder.begin(conversation);
    exchange.identified(principal);
    void exchange.decision(decision, addresses[0]);
    exchange.outcome({ status: 200, error: null, bytesUp: 0, bytesDown: 128 });
  };
  return { record, lines };
}
