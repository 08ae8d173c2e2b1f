import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PYTHON } from './programs.ts';

/** The receiving end of sd_notify(3), as systemd has it: closing the descriptor of a barrier lets its sender go. */
const RECEIVER = `
import array, json, os, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print(json.dumps(['listening']), flush=True)
while True:
    data, ancillary, _, _ = receiver.recvmsg(65536, socket.CMSG_SPACE(16 * 4))
    for level, kind, rights in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            for descriptor in array.array('i', rights):
                os.close(descriptor)
    if data != b'BARRIER=1':
        print(json.dumps(data.decode().strip().split('\\n')), flush=True)
`;

/** Stands in for systemd where a program tells how it stands. */
export interface ServiceManager {
  /** For `NOTIFY_SOCKET`. */
  readonly socket: string;
  /** The next message that is no ping of the watchdog, as its assignments. */
  next(): Promise<string[]>;
  /** How many pings have come among the messages that `next` has given. */
  readonly pings: number;
  stop(): Promise<void>;
}

export async function startServiceManager(): Promise<ServiceManager> {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-notify-'));
  const socket = join(dir, 'notify');
  const child = spawn(PYTHON, ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await nextMessage(lines);
  let pings = 0;
  return {
    socket,
    get pings() {
      return pings;
    },
    async next() {
      for (;;) {
        const message = await nextMessage(lines);
        if (message[0] !== 'WATCHDOG=1') return message;
        pings++;
      }
    },
    async stop() {
      await stop(child);
      await rm(dir, { recursive: true });
    },
  };
}

async function nextMessage(lines: AsyncIterator<string>): Promise<string[]> {
  const { value, done } = await lines.next();
  if (done) throw new Error('the service manager of the test ended');
  return JSON.parse(value) as string[];
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}
