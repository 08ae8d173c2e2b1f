import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { RawClient } from './clients.ts';

/** What clients of a proxy saw. */
export interface Tally {
  /** Plain requests that were answered 200 with all of the body. */
  requests: number;
  /** Tunnels in which every request was answered. */
  tunnels: number;
  /**
   * Requests sent once more since their kept connection turned out closed before a byte of an answer, as every client
   * must (RFC 9112, section 9.3.1). No failure.
   */
  resent: number;
  /** Everything else, by what was said. */
  readonly failures: string[];
}

export interface Load {
  readonly tally: Tally;
  /** Waits until so many more requests and tunnels have passed. */
  more(requests: number, tunnels: number): Promise<void>;
  stop(): Promise<void>;
}

interface Options {
  /** Of the proxy. */
  readonly port: number;
  /** Host and port that answer `hello` to every request. */
  readonly authority: string;
  /** How many clients of each kind ask at the same time. */
  readonly clients: number;
  /** Between two requests of one client. */
  readonly pauseMs: number;
}

const PER_TUNNEL = 10;
/** Characters of a failure. */
const MOST_TOLD = 200;

/** Clients that keep their connections, and clients that open tunnels, until `stop`. */
export function startLoad(options: Options): Load {
  const tally: Tally = { requests: 0, tunnels: 0, resent: 0, failures: [] };
  let stopped = false;
  const repeat = async (once: () => Promise<void>) => {
    while (!stopped) {
      await once().catch((error: Error) => tally.failures.push(error.message.slice(0, MOST_TOLD)));
      await wait(options.pauseMs);
    }
  };
  const clients = Array.from({ length: options.clients }, () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    return [
      repeat(() => ask(options, agent, tally)).then(() => agent.destroy()),
      repeat(() => tunnel(options, tally)),
    ];
  }).flat();
  return {
    tally,
    async more(requests, tunnels) {
      const goal = { requests: tally.requests + requests, tunnels: tally.tunnels + tunnels };
      while (tally.requests < goal.requests || tally.tunnels < goal.tunnels) {
        if (tally.failures.length > 0) return;
        await wait(options.pauseMs);
      }
    },
    async stop() {
      stopped = true;
      await Promise.all(clients);
    },
  };
}

async function ask({ port, authority }: Options, agent: Agent, tally: Tally): Promise<void> {
  const url = `http://${authority}/`;
  for (;;) {
    const asking = request({
      host: '127.0.0.1',
      port,
      path: url,
      agent,
      headers: { host: authority },
    });
    let begun = false;
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      asking.once('response', resolve).once('error', reject);
    });
    asking.end();
    try {
      const response = await answered;
      begun = true;
      const body = (await response.setEncoding('utf8').toArray()).join('');
      if (response.statusCode !== 200 || body !== 'hello')
        throw new Error(`answered ${response.statusCode}: ${body}`);
      tally.requests++;
      return;
    } catch (error) {
      if (!asking.reusedSocket || begun) throw error;
      tally.resent++;
    }
  }
}

async function tunnel({ port, authority, pauseMs }: Options, tally: Tally): Promise<void> {
  const client = new RawClient(port);
  try {
    client.send(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    const head = await client.until(/\r\n\r\n/);
    if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`tunnel refused: ${head}`);
    for (let i = 1; i <= PER_TUNNEL; i++) {
      client.send(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
      await client.times('hello', i);
      await wait(pauseMs);
    }
    tally.tunnels++;
  } finally {
    client.close();
  }
}
