import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readToken } from '../../src/admin/token.ts';
import type { TestGateway } from './gateway.ts';
import { freePort, startServer } from './servers.ts';

/** One element of what a query gives. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A real Prometheus that reads the metrics of a gateway of the tests, several times a second. */
export interface Prometheus {
  /** @throws Error with what Prometheus says of a query that it cannot answer */
  query(text: string): Promise<readonly Sample[]>;
  stop(): Promise<void>;
}

export async function startPrometheus({ gateway, dir }: TestGateway): Promise<Prometheus> {
  const home = await mkdtemp(join(tmpdir(), 'sekisho-prometheus-'));
  const file = join(home, 'prometheus.yaml');
  const token = await readToken(join(dir, 'var'));
  const { host, port: adminPort } = gateway.admin;
  await writeFile(
    file,
    JSON.stringify({
      global: { scrape_interval: '200ms', scrape_timeout: '200ms' },
      scrape_configs: [
        {
          job_name: 'sekisho',
          authorization: { credentials: token.reveal() },
          static_configs: [{ targets: [`${host}:${adminPort}`] }],
        },
      ],
    }),
  );
  const port = await freePort();
  const server = await startServer(
    'prometheus',
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(home, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    [port],
  );
  return {
    async query(text) {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/query`, {
        method: 'POST',
        body: new URLSearchParams({ query: text }),
      });
      const answer = (await response.json()) as Answer;
      if (answer.status !== 'success') throw new Error(`${text}: ${answer.error}`);
      return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async stop() {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

type Answer =
  | {
      readonly status: 'success';
      readonly data: {
        readonly result: readonly {
          readonly metric: Readonly<Record<string, string>>;
          readonly value: readonly [number, string];
        }[];
      };
    }
  | { readonly status: 'error'; readonly error: string };
