import { execFile } from 'node:child_process';
import type { Logger } from './log.ts';

/**
 * Tells systemd how the gateway stands, by the protocol of sd_notify(3). Nothing here throws or waits: a service manager
 * that cannot be told is logged, and the gateway goes on.
 */
export interface Notifier {
  /** Start-up or a reload has ended. @param status one line for `systemctl status` */
  ready(status: string): void;
  /** A reload begins; `ready` tells its end. */
  reloading(): void;
  /** The gateway drains. The last message: whatever is told afterwards is left out. */
  stopping(status: string): void;
  /**
   * Keeps systemd's watchdog quiet, where the unit has `WatchdogSec`, for as long as the event loop turns and `alive`
   * says so. What then happens is the unit's business: a restart.
   */
  watch(alive?: () => boolean): void;
}

interface Options {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** What sends a message. By its full path: a PATH that somebody else set decides nothing here. */
  readonly program?: string;
}

const PROGRAM = '/usr/bin/systemd-notify';
const SILENT: Notifier = { ready() {}, reloading() {}, stopping() {}, watch() {} };
const PING = ['WATCHDOG=1'];
/** Longer than `systemd-notify` itself waits for systemd to have read a message, which is 5 seconds. */
const LONGEST_MS = 8_000;
const MOST_WAITING = 16;

/** Silent, and without any cost, where no service manager asked to be told (`NOTIFY_SOCKET`). */
export function createNotifier({ env, log, program = PROGRAM }: Options): Notifier {
  const { NOTIFY_SOCKET: socket } = env;
  if (socket === undefined || socket === '') return SILENT;
  const messages = new Messages(program, socket, log);
  let watching: NodeJS.Timeout | undefined;
  return {
    ready: (status) => messages.add(['READY=1', statusLine(status)]),
    // By this time systemd tells an answer to its own signal from one to a signal before (Type=notify-reload).
    reloading: () => messages.add(['RELOADING=1', `MONOTONIC_USEC=${monotonicMicroseconds()}`]),
    stopping(status) {
      clearInterval(watching);
      messages.addLast(['STOPPING=1', statusLine(status)]);
    },
    watch(alive = () => true) {
      const everyMs = pingEveryMs(env);
      if (everyMs === undefined) return;
      clearInterval(watching);
      const ping = () => alive() && messages.addOnce(PING);
      watching = setInterval(ping, everyMs).unref();
      ping();
    },
  };
}

/**
 * Messages on their way to systemd, one after the other. Node opens no datagram sockets of the unix domain, so that
 * `systemd-notify` sends them. It waits until systemd has read its message: what an ended process sent, systemd could no
 * longer attribute to the unit.
 */
class Messages {
  readonly #program: string;
  readonly #socket: string;
  readonly #log: Options['log'];
  #waiting: (readonly string[])[] = [];
  #sending = false;
  #ended = false;
  /** In a row. */
  #failures = 0;

  constructor(program: string, socket: string, log: Options['log']) {
    this.#program = program;
    this.#socket = socket;
    this.#log = log;
  }

  add(message: readonly string[]): void {
    if (this.#ended) return;
    this.#waiting.push(message);
    // The newest say how things stand; systemd never gets the oldest of so many.
    if (this.#waiting.length > MOST_WAITING) this.#failed({ message: this.#waiting.shift() });
    this.#sendNext();
  }

  /** Unless one like it still waits. */
  addOnce(message: readonly string[]): void {
    if (!this.#waiting.includes(message)) this.add(message);
  }

  /** Instead of whatever waits. */
  addLast(message: readonly string[]): void {
    this.#waiting = [];
    this.add(message);
    this.#ended = true;
  }

  #sendNext(): void {
    if (this.#sending) return;
    const message = this.#waiting.shift();
    if (message === undefined) return;
    this.#sending = true;
    const options = {
      // Nothing else of the environment, which may hold secrets.
      env: { NOTIFY_SOCKET: this.#socket },
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    } as const;
    execFile(this.#program, message, options, (error, _stdout, stderr) => {
      this.#sending = false;
      if (error === null) this.#succeeded();
      else this.#failed({ message, err: error, stderr: stderr.trim() });
      this.#sendNext();
    });
  }

  /** Told once in a row: every ping would fail alike. */
  #failed(facts: object): void {
    if (this.#failures++ > 0) return;
    this.#log.warn(facts, 'systemd was not told how the gateway stands');
  }

  #succeeded(): void {
    if (this.#failures === 0) return;
    this.#log.info({ failures: this.#failures }, 'systemd is told again');
    this.#failures = 0;
  }
}

/** A line break would begin another variable. */
function statusLine(text: string): string {
  return `STATUS=${text.replace(/\s+/g, ' ')}`;
}

function monotonicMicroseconds(): bigint {
  return process.hrtime.bigint() / 1_000n;
}

/**
 * Half of what systemd waits at most, as sd_watchdog_enabled(3) advises. `WATCHDOG_PID` is the process that systemd
 * started: this one, or `bin/sekisho.js` under an older Node, which started this one and only passes signals on.
 */
function pingEveryMs({ WATCHDOG_USEC, WATCHDOG_PID }: Options['env']): number | undefined {
  const meant = [undefined, String(process.pid), String(process.ppid)].includes(WATCHDOG_PID);
  const microseconds = Number(WATCHDOG_USEC ?? Number.NaN);
  return meant && microseconds > 0 ? Math.max(1, Math.floor(microseconds / 2_000)) : undefined;
}
