import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { AuditEvent, DecisionEvent, OutcomeEvent } from '../../src/audit/event.ts';
import { load } from '../../src/config/load.ts';
import { type Gateway, startGateway } from '../../src/gateway.ts';
import { createLogger } from '../../src/log.ts';

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
  const gateway = await startGateway(load(file, { env }), { env, log });
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
    async stop() {
      await gateway.stop({ notice: false });
      await rm(dir, { recursive: true, force: true });
    },
  };
}
