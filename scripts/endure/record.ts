import { join } from 'node:path';
import { listSegments } from '../../src/audit/segment-name.ts';
import { linesFrom } from '../../src/audit/segment-reader.ts';
import { run } from '../../test/support/clients.ts';
import { ROOT } from '../../test/support/sources.ts';
import type { GatewayProcess } from './gateway-process.ts';

/** A decision, as far as it is of use here. */
export interface Decided {
  /** The path of a request, the host of a tunnel. */
  readonly marker: string;
  readonly clientPort: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number;
  /** The process that wrote it. */
  readonly pid: number;
}

const FIELDS =
  /^\{"type":"decision","id":"[^"]+","time":"(?<time>[^"]+)".*?"client":"127\.0\.0\.1:(?<port>\d+)".*?(?:"path":"(?<path>[^"]*)",)?"destination":"(?<host>[^":]*):/;

/** Every decision on record, block by block: an hour's record does not fit into memory. */
export async function* decisions(gateways: readonly GatewayProcess[]): AsyncGenerator<Decided> {
  for (const { auditDir } of gateways) {
    for (const { path, pid } of await listSegments(auditDir)) {
      for await (const { lines } of linesFrom(path, 0)) {
        for (const line of lines) {
          const { time = '', port, path, host = '' } = FIELDS.exec(line)?.groups ?? {};
          if (port === undefined) continue;
          const [marker, timeMs] = [path ?? host, Date.parse(time)];
          yield { marker, clientPort: Number(port), timeMs, pid };
        }
      }
    }
  }
}

/** What arrived at an upstream and is not on record. */
export async function unrecorded(
  seen: ReadonlySet<string>,
  gateways: readonly GatewayProcess[],
): Promise<ReadonlySet<string>> {
  const missing = new Set(seen);
  for await (const { marker } of decisions(gateways)) missing.delete(marker);
  return missing;
}

export interface Verified {
  readonly gateway: string;
  readonly ok: boolean;
  readonly segments: number;
  readonly lines: number;
  readonly checkpoints: number;
  readonly problems: readonly object[];
}

/** `sekisho audit verify`, with the copies and the key that nobody but the verifier has. */
export async function verify(
  { name, auditDir }: GatewayProcess,
  copies: string,
  key: string,
): Promise<Verified> {
  const { stdout, stderr } = await run(process.execPath, [
    join(ROOT, 'bin', 'sekisho.js'),
    ...['audit', 'verify', '--json', '--dir', auditDir, '--anchor', copies, '--key', key],
  ]);
  if (stdout === '') throw new Error(`audit verify of ${name}: ${stderr}`);
  const { ok, segments, lines, checkpoints, problems } = JSON.parse(stdout);
  return { gateway: name, ok, segments, lines, checkpoints, problems };
}
