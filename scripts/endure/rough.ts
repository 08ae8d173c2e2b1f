import { setTimeout as wait } from 'node:timers/promises';
import type { LoadPlan } from './load-plan.ts';
import { getRequest } from './requests.ts';
import { nextName, type Tally } from './tally.ts';
import { connectThrough } from './tunnels.ts';
import { Wire } from './wire.ts';

type Behaviour = (plan: LoadPlan) => Promise<void>;

const SLOW_PIECES = 20;
const SLOW_PAUSE_MS = 200;
/** What the upstream answers to a path below `/large`. */
export const LARGE_BYTES = 1024 * 1024;

/** Asks once on a connection of its own, and wants a status. */
function asks(status: number, request: (plan: LoadPlan) => string): Behaviour {
  return async (plan) => {
    const wire = await Wire.open(plan.port);
    wire.write(request(plan));
    const answer = await wire.answer();
    wire.close();
    if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}`);
  };
}

const CLOSE = 'Connection: close\r\n';

/** Clients that a gateway meets besides those that behave, and what each must come to. */
const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  'short connection': asks(200, (plan) => getRequest(plan, `/${nextName()}`, CLOSE)),
  refusal: asks(403, (plan) => getRequest(plan, '/', '', 'denied.localhost')),
  'unknown identity': asks(407, (plan) => getRequest({ ...plan, identity: 'nobody' }, '/')),
  'name that does not exist': asks(502, (plan) =>
    getRequest(plan, '/', '', `${nextName()}.example`),
  ),
  'malformed request': asks(400, () => 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
  async 'aborted request'(plan) {
    const wire = await Wire.open(plan.port);
    wire.write(getRequest(plan, `/large/${nextName()}`));
    await wire.head();
    wire.socket.resetAndDestroy();
  },
  async 'aborted tunnel'(plan) {
    const wire = await Wire.open(plan.port);
    const host = `${nextName()}.raw.localhost`;
    await connectThrough(wire, plan, host, plan.rawPort);
    wire.write(`${host}\n`);
    await wire.bytes(host.length);
    wire.socket.resetAndDestroy();
  },
  async 'unfinished head'(plan) {
    const wire = await Wire.open(plan.port);
    wire.write('GET http://api.loc');
    await wait(SLOW_PAUSE_MS);
    wire.close();
  },
  async 'slow reader'(plan) {
    const wire = await Wire.open(plan.port);
    wire.write(getRequest(plan, `/large/${nextName()}`));
    await wire.head();
    for (let piece = 0; piece < SLOW_PIECES; piece++) {
      wire.socket.pause();
      await wait(SLOW_PAUSE_MS);
      wire.socket.resume();
      await wire.bytes(LARGE_BYTES / SLOW_PIECES - 1);
    }
    wire.close();
  },
};

/** One of each, once. */
export function roughRound(plan: LoadPlan, tally: Tally): void {
  for (const [what, behave] of Object.entries(BEHAVIOURS)) {
    const ended = behave(plan).then(
      () => tally.doneRough(what),
      (error: unknown) => tally.failed('request', what, undefined, error),
    );
    tally.run(ended);
  }
}
