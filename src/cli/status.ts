import type { Writable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { Command } from 'commander';
import pc from 'picocolors';
import type { Colors } from 'picocolors/types.js';
import type { GatewayStatus } from '../admin/status.ts';
import { printable } from '../audit/printable.ts';
import type { SetStatus } from '../published/follower.ts';
import { type AdminClient, findAdmin } from './admin-client.ts';
import { EXIT } from './exit-codes.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('how the gateway is: its policy, its workers, where it listens, its record')
    .option('-c, --config <file>', 'the configuration of the gateway', 'sekisho.yaml')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  sekisho status -c /etc/sekisho/sekisho.yaml\n')
    .action(async ({ config, json }: { config: string; json?: true }) => {
      const well = await printStatus(await findAdmin(config), json === true, process.stdout);
      process.exitCode = well ? EXIT.done : EXIT.found;
    });
}

/** @returns whether all of it accepts clients, and no set of it is closed */
export async function printStatus(
  admin: AdminClient,
  asJson: boolean,
  output: Writable & { isTTY?: boolean },
): Promise<boolean> {
  const status = (await json(await admin.get('/v1/status'))) as GatewayStatus;
  const colors = pc.createColors(output.isTTY === true && pc.isColorSupported);
  output.write(asJson ? `${JSON.stringify(status)}\n` : statusText(status, Date.now(), colors));
  const { state, workers, lists } = status;
  const accepts = state === 'accepting' && workers.every((worker) => worker.state === 'accepting');
  return accepts && lists.every(({ standing }) => standing !== 'closed');
}

function statusText(status: GatewayStatus, now: number, colors: Colors): string {
  const { gateway, version, state, policy, workers, listeners, admin, checkpointedAt } = status;
  const since = (time: string) => `${ago(now - Date.parse(time))} ago`;
  const rows = [
    ['policy', `${policy.slice(0, 19)}…, in force since ${since(status.policyLoadedAt)}`],
    ['record', checkpointedAt === null ? 'no checkpoint' : `checkpoint ${since(checkpointedAt)}`],
    ...Object.entries(listeners).map(([name, binds]) => [name, binds.join(', ')]),
    ['admin', admin],
    ['tunnels', tunnelsText(status.nativeTunnel)],
    ...status.lists.map((list) => [list.set, listText(list, since, colors)]),
    ...workers.map((worker) => [
      `worker ${worker.number}`,
      `${shown(worker.state, colors)}  pid ${worker.pid ?? '-'}, since ${since(worker.startedAt)}, ` +
        `${worker.connections} connections, ${worker.restarts} restarts`,
    ]),
  ];
  const width = Math.max(...rows.map(([name = '']) => name.length));
  const lines = rows.map(([name = '', text = '']) => `  ${printable(name).padEnd(width)}  ${text}`);
  const head = `${colors.bold(printable(gateway))} ${version}  ${shown(state, colors)}, started ${since(status.startedAt)}`;
  return `${[head, ...lines].join('\n')}\n`;
}

function listText(
  { standing, networks, token, seenAt, problem }: SetStatus,
  since: (time: string) => string,
  colors: Colors,
): string {
  const how = standing === 'current' ? '' : `  ${colors.yellow(STANDINGS[standing])}`;
  const seen = seenAt === null ? 'never seen' : `list seen ${since(seenAt)}`;
  const version = token === null ? '' : ` (${printable(token)})`;
  const why = problem === null ? '' : `; ${printable(problem)}`;
  return `${networks} networks, ${seen}${version}${how}${why}`;
}

const STANDINGS = { old: 'too old', closed: 'too old: closed' } as const;

function tunnelsText(native: GatewayStatus['nativeTunnel']): string {
  if (native === null) return 'in JavaScript: the native part is not there';
  return native === 'built' ? 'native, built here' : 'native, prebuilt with the release';
}

function shown(state: string, colors: Colors): string {
  return state === 'accepting' ? colors.green(state) : colors.yellow(state);
}

const STEPS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const;

function ago(milliseconds: number): string {
  for (const [unit, size] of STEPS) {
    if (milliseconds >= size) return `${Math.floor(milliseconds / size)}${unit}`;
  }
  return `${Math.max(0, Math.round(milliseconds / 1000))}s`;
}
