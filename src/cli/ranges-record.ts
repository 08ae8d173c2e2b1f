import { join } from 'node:path';
import { openSegments } from '../audit/audit.ts';
import { eventLine, type RangesEvent } from '../audit/event.ts';
import type { AuditWriter } from '../audit/writer.ts';
import type { Loaded } from '../config/load.ts';
import { permissionText } from '../core/permission.ts';
import type { Logger } from '../log.ts';
import type { Entry } from '../ranges/plan/entry.ts';
import type { Plan } from '../ranges/plan/plan.ts';
import type { Wanted } from '../ranges/ranges.ts';

/** So many entries stand in an event one by one; all of them are counted. */
const LISTED = 1000;

/** Puts changes of allow-lists on record, in a segment of this process beside those of the gateway. */
export class RangesRecord {
  readonly #loaded: Loaded;
  readonly #log: Logger;
  /** Begun with the first event: most applies change nothing, and would leave an empty segment each. */
  #writer: AuditWriter | undefined;

  constructor(loaded: Loaded, log: Logger) {
    this.#loaded = loaded;
    this.#log = log;
  }

  /** Resolves once it is on record. @throws SekishoError, Refusal `audit-unavailable` */
  async write(
    { target, sets }: Wanted,
    stage: RangesEvent['stage'],
    { add, move, remove }: Pick<Plan, 'add' | 'move' | 'remove'>,
    detail?: string,
  ): Promise<void> {
    const event: RangesEvent = {
      type: 'ranges',
      time: new Date().toISOString(),
      gateway: this.#loaded.config.gateway.name,
      target: target.name,
      stage,
      tokens: Object.fromEntries(
        sets.map(({ name, token }) => [name, token === undefined ? null : String(token)]),
      ),
      add: add.slice(0, LISTED).map((one) => `${one.container} ${words(one.entry)}`),
      move: move.slice(0, LISTED).map((one) => `${one.from} ${one.to} ${words(one.entry)}`),
      remove: remove.slice(0, LISTED).map((one) => `${one.container} ${words(one.entry)}`),
      counts: { add: add.length, move: move.length, remove: remove.length },
      ...(detail !== undefined && { detail }),
    };
    this.#writer ??= await this.#open();
    await this.#writer.write(eventLine(event));
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }

  #open(): Promise<AuditWriter> {
    const { config, digest } = this.#loaded;
    const { name, dataDir } = config.gateway;
    return openSegments({
      dir: join(dataDir, 'audit'),
      gateway: name,
      policy: digest,
      durability: config.audit.durability,
      now: Date.now,
      log: this.#log,
      meter: { linesWritten: () => undefined, linesLost: () => undefined },
    });
  }
}

function words({ network, permission }: Entry): string {
  return permission === undefined ? network.text : `${network.text} ${permissionText(permission)}`;
}
