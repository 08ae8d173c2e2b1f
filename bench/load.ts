import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { LOAD } from './build.ts';

/** What one run of the load generator saw. Latencies in milliseconds. */
export interface Load {
  /** Requests, set-ups or bytes. */
  readonly units: number;
  readonly failed: number;
  /** Requests that met the end of a kept connection and were sent once more. */
  readonly resent: number;
  readonly seconds: number;
  /** Its own. */
  readonly cpuSeconds: number;
  /** In which it could have run, had a core been free. */
  readonly waitedSeconds: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface HttpLoad {
  readonly port: number;
  readonly request: string;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second; without it the next request follows the last answer. */
  readonly rate?: number;
}

export interface TunnelLoad {
  readonly port: number;
  /** What opens a tunnel; empty where a connection is one. */
  readonly head: string;
  readonly payload: Buffer;
  readonly connections: number;
  readonly seconds: number;
}

export function loadHttp({ port, request, connections, seconds, rate = 0 }: HttpLoad) {
  return run(['http', port, connections, seconds, rate, hex(request)]);
}

export function loadConnect({ port, head, payload, connections, seconds }: TunnelLoad) {
  return run(['connect', port, connections, seconds, hex(head), payload.toString('hex')]);
}

export function loadBulk({ port, head, payload, connections, seconds }: TunnelLoad) {
  return run(['bulk', port, connections, seconds, hex(head), payload.toString('hex')]);
}

export interface ChurnLoad {
  readonly port: number;
  readonly connections: number;
  /** Of connections, all in all. */
  readonly count: number;
  /** Every `########` becomes the number of the connection. */
  readonly payload: string;
  /** The first number. */
  readonly first: number;
}

/** Connections that each come from an address of their own, send their payload, are answered and close. */
export function loadChurn({ port, connections, count, first, payload }: ChurnLoad) {
  return run(['churn', port, connections, count, first, hex(payload)]);
}

/** Opens tunnels for so many seconds at most. @returns once they are open: how many, what that took, and their end */
export async function holdIdle({ port, head, payload, connections, seconds }: TunnelLoad) {
  const child = start(['idle', port, connections, seconds, hex(head), payload.toString('hex')]);
  const gone = once(child, 'exit');
  const [line] = await Promise.race([once(child.stdout as Readable, 'data'), gone]);
  const opened = JSON.parse(String(line)) as Load;
  return {
    opened,
    async close() {
      child.stdin?.end();
      await gone;
    },
  };
}

/** Cores that it took, and those that it would have taken. Near one, its rate is what was measured. */
export function generatorOf({ cpuSeconds, waitedSeconds, seconds }: Load) {
  return { generator: cpuSeconds / seconds, starved: waitedSeconds / seconds };
}

async function run(args: readonly (string | number)[]): Promise<Load> {
  const child = start(args);
  return JSON.parse(await text(child.stdout as Readable)) as Load;
}

function start(args: readonly (string | number)[]): ChildProcess {
  return spawn(LOAD, args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
}

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}
