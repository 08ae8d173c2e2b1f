/**
 * What a plain request costs the gateway besides its sockets: `node bench/exchange.ts [SECONDS]`.
 *
 * Clients and destination are objects in memory that stand where sockets do; all between them is what serves in earnest: the
 * head is read and judged, the caller identified by a header, 1,000 rules decide, the record is written to a folder below that
 * of temporary files, the destination's kept connection is used again. So many clients ask at once as in the row `plain-http`,
 * each anew once it has its answer.
 *
 * Prints microseconds of CPU, user and system: of an exchange as the best and the median of several rounds, of the stand-ins
 * alone, and of single steps as they cost in a row, which is less than within an exchange. With `--cpu-prof` or under
 * `perf record` it tells where the time goes.
 */
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { load } from '../src/config/load.ts';
import { Ip } from '../src/core/ip.ts';
import { putTogether } from '../src/in-force.ts';
import { serveClient } from '../src/listener/forward-proxy/connection.ts';
import { Drain } from '../src/listener/forward-proxy/drain.ts';
import { createLogger } from '../src/log.ts';
import { buildParts, type Parts } from '../src/parts.ts';
import { proxyContext } from '../src/serving.ts';
import { Channel } from '../src/stream/channel.ts';
import type { Dialled, WayOut } from '../src/upstream/way-out.ts';
import { ALONE } from '../src/workers.ts';
import { type Step, steps } from './exchange-steps.ts';
import { HOST, hosts, IDENTITY, IDENTITY_HEADER, proxyRequest } from './peers/peer.ts';

const CLIENTS = 64;
const RULES = 1_000;
const WARM_UP = 20_000;
const ROUNDS = 7;
const STEP_ROUNDS = 20;
const STEP_TIMES = 5_000;
const PORT = 8080;
const REQUEST = Buffer.from(proxyRequest(PORT));
const PAGE = 'x'.repeat(128);
const RESPONSE = Buffer.from(
  'HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 26 Nov 2026 06:30:00 GMT\r\n' +
    `Content-Type: text/plain\r\nContent-Length: ${PAGE.length}\r\nConnection: keep-alive\r\n\r\n${PAGE}`,
);

/** As much of a socket as a channel uses. What is written to it is answered by whom it stands for, in another turn. */
class Standing extends EventEmitter {
  readonly writableNeedDrain = false;
  readonly timeout = 0;
  readonly #answer: (bytes: Buffer, send: (bytes: Buffer) => void) => void;
  readonly #send = (bytes: Buffer) => void setImmediate(this.#arrive, bytes);
  readonly #arrive = (bytes: Buffer) => void this.emit('data', bytes);

  constructor(answer: (bytes: Buffer, send: (bytes: Buffer) => void) => void) {
    super();
    this.#answer = answer;
  }

  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  write(bytes: Buffer): boolean {
    this.#answer(bytes, this.#send);
    return true;
  }

  ask(bytes: Buffer): void {
    this.#send(bytes);
  }

  setTimeout(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** Lets clients ask until so many answers have come. */
class Load {
  #left = 0;
  #underWay = 0;
  #done = Promise.withResolvers<void>();
  readonly clients: Standing[] = [];

  async run(exchanges: number): Promise<void> {
    this.#left = exchanges;
    this.#done = Promise.withResolvers();
    for (const client of this.clients) this.#ask(client);
    await this.#done.promise;
  }

  add(): Standing {
    const client: Standing = new Standing(() => {
      this.#underWay--;
      this.#ask(client);
    });
    this.clients.push(client);
    return client;
  }

  #ask(client: Standing): void {
    if (this.#left > 0) {
      this.#left--;
      this.#underWay++;
      client.ask(REQUEST);
    } else if (this.#underWay === 0) this.#done.resolve();
  }
}

const destination: WayOut = {
  id: 'in memory',
  dial: async ({ addresses }): Promise<Dialled> => ({
    stream: new Channel(new Standing((_, send) => send(RESPONSE)).asSocket, 0),
    address: addresses[0],
  }),
  dialForRequests: (aim, terms) => destination.dial(aim, terms),
};

function policy(dir: string): string {
  const rule = (host: string, i: number) =>
    host === HOST
      ? `{ name: r${i}, allow: [bench], to: [${HOST}.], ports: ["1-65535"], addresses: [127.0.0.1], via: fixed }`
      : `{ name: r${i}, allow: [bench], to: [${host}] }`;
  return `version: 1
gateway: { name: bench, contact: "bench@example.com", dataDir: ${dir} }
admin: { bind: "127.0.0.1:0" }
listeners:
  egress: { type: forward-proxy, bind: "127.0.0.1:0" }
principals:
  bench: { identify: [{ header: { name: ${IDENTITY_HEADER}, value: { env: BENCH_IDENTITY } } }] }
exits:
  fixed: { localAddress: 127.0.0.1 }
rules:
${hosts(RULES)
  .map((host, i) => `  - ${rule(host, i)}`)
  .join('\n')}
`;
}

async function build(dir: string): Promise<Parts> {
  const file = join(dir, 'sekisho.yaml');
  writeFileSync(file, policy(dir));
  const env = { BENCH_IDENTITY: IDENTITY };
  const inForce = putTogether(load(file, { env }), { env });
  const log = createLogger(new PassThrough().resume());
  const parts = await buildParts(
    { ...inForce, exits: new Map([['fixed', destination]]) },
    { log, env, peers: ALONE, number: 1 },
  );
  return parts;
}

function connect(parts: Parts, load: Load): void {
  const proxy = proxyContext(parts, 'egress');
  for (let i = 0; i < CLIENTS; i++) {
    const ip = Ip.parse(`10.0.0.${i + 1}`) as Ip;
    const channel = new Channel(load.add().asSocket, 0);
    const client = { channel, ip, peer: ip, port: 40_000 + i };
    void serveClient(client, proxy, new Drain());
  }
}

/** Microseconds of CPU. */
async function cost(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** The best and the median of several rounds, for each exchange. */
async function measure(load: Load, seconds: number): Promise<readonly [number, number]> {
  const warm = (await cost(() => load.run(WARM_UP))) / WARM_UP;
  const exchanges = Math.ceil(((seconds / ROUNDS) * 1e6) / warm);
  const rounds: number[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push((await cost(() => load.run(exchanges))) / exchanges);
  rounds.sort((a, b) => a - b);
  return [rounds[0] as number, rounds[Math.floor(ROUNDS / 2)] as number];
}

/** Clients that are answered at once by nobody: what the stand-ins themselves take, with a turn for either side. */
function standIns(): Load {
  const alone = new Load();
  for (let i = 0; i < CLIENTS; i++) {
    const client = alone.add();
    const end = new Standing((_, send) => send(RESPONSE));
    client.on('data', (bytes: Buffer) => end.write(bytes));
    end.on('data', (bytes: Buffer) => client.write(bytes));
  }
  return alone;
}

/** The best of several rounds, between which its promises settle. */
async function measureStep({ work, times }: Step): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < STEP_ROUNDS; round++) {
    const began = performance.now();
    for (let i = 0; i < STEP_TIMES; i += times) work();
    best = Math.min(best, ((performance.now() - began) * 1_000) / STEP_TIMES);
    await turn();
  }
  return best;
}

function print(what: string, ...figures: readonly number[]): void {
  const columns = figures.map((figure) => figure.toFixed(2).padStart(8)).join('');
  process.stdout.write(`${what.padEnd(36)}${columns}\n`);
}

const seconds = Number(process.argv[2] ?? 7);
const dir = mkdtempSync(join(tmpdir(), 'sekisho-bench-'));
try {
  const parts = await build(dir);
  const load = new Load();
  connect(parts, load);
  process.stdout.write(`${'µs of CPU'.padEnd(36)}    best  median\n`);
  print('an exchange', ...(await measure(load, seconds)));
  print('of these, the stand-ins', ...(await measure(standIns(), 0.5)));
  parts.pool.close();
  for (const step of steps(parts, REQUEST, RESPONSE)) print(step.name, await measureStep(step));
} finally {
  rmSync(dir, { recursive: true, force: true });
}
