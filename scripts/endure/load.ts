/**
 * The load generator, a process of its own: a constant rate of requests and tunnels through the balancer, whatever becomes
 * of them. The plan is its argument; its parent tells it what to do (see `Order`).
 */
import type { LoadPlan, Order } from './load-plan.ts';
import { Requests } from './requests.ts';
import { roughRound } from './rough.ts';
import { Tally } from './tally.ts';
import { Tunnels } from './tunnels.ts';

const TICK_MS = 20;
const ROUGH_MS = 1_000;

const plan = JSON.parse(process.argv[2] as string) as LoadPlan;
const tally = new Tally();
const requests = new Requests(plan, tally);
const tunnels = new Tunnels(plan, tally);

constantly(plan.rate, () => tally.run(requests.one()));
constantly(plan.tunnelRate, () => tally.run(tunnels.one()));
for (let i = 0; i < plan.longTunnels; i++) void tunnels.long();

process.on('message', ({ order }: Order) => {
  if (order === 'rough') setInterval(() => roughRound(plan, tally), ROUGH_MS);
  else void tally.settled().then(() => process.send?.(tally.take()));
});
process.on('disconnect', () => process.exit());

/** By the clock: what a busy moment held up is made up for. */
function constantly(rate: number, begin: () => void): void {
  let last = performance.now();
  let due = 0;
  setInterval(() => {
    const now = performance.now();
    due += ((now - last) * rate) / 1000;
    last = now;
    for (; due >= 1; due--) begin();
  }, TICK_MS);
}
