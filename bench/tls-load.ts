import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Load } from './load.ts';

export interface TlsLoad {
  readonly port: number;
  /** What opens a tunnel. */
  readonly head: string;
  /** What is asked within, again and again. */
  readonly request: string;
  readonly servername: string;
  /** PEM of the CA that the client trusts alone. */
  readonly ca: string;
  readonly connections: number;
  readonly seconds: number;
}

interface Seen {
  failed: number;
  readonly milliseconds: number[];
}

/** Requests within the TLS of tunnels, one after the other on each kept connection. In this process: `load.c` speaks no TLS. */
export async function loadTls(load: TlsLoad): Promise<Load> {
  const sessions = await Promise.all(Array.from({ length: load.connections }, () => open(load)));
  const seen: Seen = { failed: 0, milliseconds: [] };
  const [cpu, waited, began] = [process.cpuUsage(), waitedSeconds(), performance.now()];
  const until = began + load.seconds * 1000;
  await Promise.all(sessions.map((session) => askUntil(session, load.request, until, seen)));
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - began) / 1000;
  for (const session of sessions) session.destroy();
  const sorted = seen.milliseconds.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return {
    units: sorted.length,
    failed: seen.failed,
    resent: 0,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    waitedSeconds: waitedSeconds() - waited,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    max: sorted.at(-1) ?? 0,
  };
}

async function open({ port, head, servername, ca }: TlsLoad): Promise<TLSSocket> {
  const socket = connectTcp(port, '127.0.0.1');
  socket.write(head);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!/^HTTP\/1\.1 200 .*\r\n\r\n$/s.test(answer.toString('latin1')))
    throw new Error(`no tunnel: ${answer}`);
  const secure = connect({ socket, servername, ca, ALPNProtocols: ['http/1.1'] });
  await once(secure, 'secureConnect');
  return secure;
}

async function askUntil(session: TLSSocket, request: string, until: number, seen: Seen) {
  while (performance.now() < until) {
    const began = performance.now();
    session.write(request);
    const status = await answered(session).catch(() => 0);
    if (status === 200) seen.milliseconds.push(performance.now() - began);
    else seen.failed++;
    if (status === 0) return;
  }
}

/** The status of an answer that has arrived whole. @throws Error where its connection ends before */
async function answered(session: TLSSocket): Promise<number> {
  let text = '';
  for (;;) {
    text += await piece(session);
    const [head, length] = /^[\s\S]*?\r\ncontent-length: (\d+)[\s\S]*?\r\n\r\n/i.exec(text) ?? [];
    if (head !== undefined && text.length >= head.length + Number(length))
      return Number(text.slice(9, 12));
  }
}

function piece(session: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => {
      session.off('data', onData).off('close', onClose);
      end();
    };
    const onData = (chunk: Buffer) => settle(() => resolve(chunk.toString('latin1')));
    const onClose = () => settle(() => reject(new Error('the connection ended')));
    session.once('data', onData).once('close', onClose);
  });
}

/** In which this thread could have run, had a core been free. */
function waitedSeconds(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e9;
}
