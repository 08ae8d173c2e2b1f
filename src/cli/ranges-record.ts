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
  readonly #gateway: string;
  readonly #writer: AuditWriter;

  private constructor(gateway: string, writer: AuditWriter) {
    this.#gateway = gateway;
    this.#writer = writer;
  }

  /** @throws SekishoError `audit-unavailable` */
  static async open({ config, digest }: Loaded, log: Logger): Promise<RangesRecord> {
    const { name, dataDir } = config.gateway;
    const writer = await openSegments({
      dir: join(dataDir, 'audit'),
      gateway: name,
      policy: digest,
      durability: config.audit.durability,
      now: Date.now,
      log,
      meter: { linesWritten: () => undefined, linesLost: () => undefined },
    });
    return new RangesRecord(name, writer);
  }

  /** Resolves once it is on record. @throws Refusal `audit-unavailable` */
  write(
    { target, sets }: Wanted,
    stage: RangesEvent['stage'],
    { add, move, remove }: Pick<Plan, 'add' | 'move' | 'remove'>,
    detail?: string,
  ): Promise<void> {
    const event: RangesEvent = {
      type: 'ranges',
      time: new Date().toISOString(),
      gateway: this.#gateway,
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
    return this.#writer.write(eventLine(event));
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

function words({ network, permission }: Entry): string {
  return permission === undefined ? network.text : `${network.text} ${permissionText(permission)}`;
}
