import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { authorization, readToken } from '../../src/admin/token.ts';
import type { AuditEvent, DecisionEvent, OutcomeEvent } from '../../src/audit/event.ts';
import type { Config } from '../../src/config/config.ts';
import { load } from '../../src/config/load.ts';
import { examine } from '../../src/examine.ts';
import { type Gateway, startGateway } from '../../src/gateway.ts';
import { createLogger } from '../../src/log.ts';
import { completeLists } from '../../src/published/complete.ts';

/** A gateway in this process, on ports of its own, with its record in memory as well. */
export interface TestGateway {
  /** Of the first listener. */
  readonly port: number;
  readonly proxyUrl: string;
  readonly dir: string;
  readonly file: string;
  readonly gateway: Gateway;
  readonly events: readonly AuditEvent[];
  /** The gateway's own log so far. */
  log(): string;
  /** The outcome of the first exchange that fits, once it has ended. */
  outcome(fits?: (event: OutcomeEvent) => boolean): Promise<OutcomeEvent>;
  /** The decisions of an exchange, in order. */
  decisions(id: string): readonly DecisionEvent[];
  /** What the audit files hold so far. */
  recorded(): Promise<string>;
  /** Waits until a metric, as `name{label="value"}`, counts at least so much. */
  metric(name: string, atLeast: number): Promise<void>;
  stop(): Promise<void>;
}

/** @param yaml all but `version`, `gateway.dataDir` and `admin`, which are supplied */
export async function startTestGateway(
  yaml: string,
  options: { env?: NodeJS.ProcessEnv; files?: Record<string, string> } = {},
): Promise<TestGateway> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-test-'));
  const file = join(dir, 'sekisho.yaml');
  const admin = /^admin:/m.test(yaml) ? '' : 'admin: { bind: "127.0.0.1:0" }\n';
  await writeFile(file, `version: 1\n${admin}${yaml}`);
  for (const [name, text] of Object.entries(options.files ?? {}))
    await writeFile(join(dir, name), text);
  const logged: string[] = [];
  const log = createLogger(
    new Writable({
      write(chunk, _encoding, done) {
        logged.push(String(chunk));
        done();
      },
    }),
  );
  const env = options.env ?? {};
  const read = () => load(file, { env });
  const reread = async (before: Config) => {
    const loaded = read();
    const complete = { ...loaded, config: await completeLists(loaded.config) };
    return examine(complete, before, Date.now());
  };
  const gateway = await startGateway(read(), { env, log, reread });
  const events: AuditEvent[] = [];
  const waiting = new Set<() => void>();
  gateway.onAuditEvent((event) => {
    events.push(event);
    for (const look of waiting) look();
  });
  const port = [...gateway.listeners.values()].flat()[0]?.port as number;
  return {
    port,
    proxyUrl: `http://127.0.0.1:${port}`,
    dir,
    file,
    gateway,
    events,
    log: () => logged.join(''),
    outcome: (fits = () => true) =>
      new Promise((resolve) => {
        const look = () => {
          const found = events.find((event) => event.type === 'outcome' && fits(event));
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found as OutcomeEvent);
        };
        waiting.add(look);
        look();
      }),
    decisions: (id) =>
      events.filter(
        (event): event is DecisionEvent => event.type === 'decision' && event.id === id,
      ),
    async recorded() {
      const folder = join(dir, 'var', 'audit');
      const files = (await readdir(folder)).sort();
      return (await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))).join(
        '',
      );
    },
    async metric(name, atLeast) {
      while (countIn(await fetchMetrics(gateway, dir), name) < atLeast) await setImmediate();
    },
    async stop() {
      await gateway.stop({ notice: false });
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function fetchMetrics({ admin }: Gateway, dir: string): Promise<string> {
  const token = await readToken(join(dir, 'var'));
  const response = await fetch(`http://${admin.host}:${admin.port}/metrics`, {
    headers: { authorization: authorization(token) },
  });
  return response.text();
}

function countIn(metrics: string, name: string): number {
  const line = metrics.split('\n').find((text) => text.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}
