import { dirname, resolve } from 'node:path';
import { ConfigError, type Diagnostic, sortDiagnostics } from '../core/diagnostic.ts';
import { toAdmin } from './admin.ts';
import { toAudit } from './audit.ts';
import { checkBinds } from './binds.ts';
import type { Config, SetConfig } from './config.ts';
import { checkCredentials } from './credential-faults.ts';
import { toCredentials } from './credentials.ts';
import { collectNames } from './definitions.ts';
import { digestPolicy } from './digest.ts';
import { checkExits } from './exit-faults.ts';
import { toExits } from './exits.ts';
import { toExpectations } from './expect.ts';
import { explain } from './explain.ts';
import { toGateway } from './gateway.ts';
import { checkGroupCycles } from './group-cycles.ts';
import { toIntercept } from './intercept.ts';
import { toListeners } from './listeners.ts';
import { Merged } from './merge.ts';
import { checkOwnership } from './ownership.ts';
import { toPrincipals } from './principals.ts';
import { toRanges } from './ranges.ts';
import { toRules } from './rules.ts';
import { configSchema, SECTIONS, type WrittenConfig } from './schema.ts';
import { readSets } from './set-files.ts';
import { readSources } from './sources.ts';
import { FileReader, ownSurroundings, type Surroundings } from './surroundings.ts';
import { toTraces } from './traces.ts';
import { findWarnings } from './warnings.ts';

export interface Loaded {
  readonly config: Config;
  /** `sha256:…` of the policy; the same on every gateway that has this policy. */
  readonly digest: string;
  /** The text of every file that was read, by path: the configuration's own and the lists of hosts. */
  readonly files: ReadonlyMap<string, string>;
  readonly warnings: readonly Diagnostic[];
}

/**
 * Reads a configuration with everything it includes.
 *
 * @param file its main file; positions name files relative to the same folder as this path
 * @param given what differs from this process's own surroundings
 * @throws ConfigError with every fault of every file
 */
export function load(file: string, given: Partial<Surroundings> = {}): Loaded {
  const around = { ...ownSurroundings(), ...given };
  const faults: Diagnostic[] = [];
  const reader = new FileReader(around, faults);
  const sources = readSources(file, around, reader, faults);
  if (sources.list.length === 0) throw new ConfigError(faults);
  const merged = new Merged(sources.list, SECTIONS, faults);
  const names = collectNames(merged, sources.complete, faults);
  const sets = readSets(merged, names, reader, faults);
  const schema = configSchema(names, around);
  // The sets are parsed already.
  const written = schema.safeParse({ ...merged.data, sets: {} });
  if (!written.success) explain(written.error.issues, merged, faults);
  checkOwnership(sources.list, merged, names, faults);
  checkGroupCycles(merged, faults);
  if (!written.success) throw new ConfigError(faults);
  const config = toConfig(written.data, sets, merged, around.hostname, reader);
  checkBinds(config, merged, faults);
  checkExits(config, merged, faults);
  checkCredentials(config, merged, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  return {
    config,
    digest: digestPolicy(config, resolve(dirname(file))),
    files: reader.texts,
    warnings: sortDiagnostics(findWarnings(config, merged, names, around.now)),
  };
}

function toConfig(
  written: WrittenConfig,
  sets: ReadonlyMap<string, SetConfig>,
  merged: Merged,
  hostname: string,
  reader: FileReader,
): Config {
  return {
    gateway: toGateway(written.gateway, merged, hostname),
    networks: { owned: written.networks.owned ?? [] },
    admin: toAdmin(written.admin, merged),
    listeners: toListeners(written.listeners, merged),
    principals: toPrincipals(written.principals, merged),
    groups: new Map(Object.entries(written.groups)),
    sets,
    rules: toRules(written.rules, merged),
    enforcement: written.enforcement,
    expect: toExpectations(written.expect, merged),
    exits: toExits(written.exits, merged, reader),
    credentials: toCredentials(written.credentials, merged, reader),
    intercept: toIntercept(written.intercept, merged, reader),
    audit: toAudit(written.audit, merged),
    traces: toTraces(written.traces, merged),
    ranges: toRanges(written.ranges, merged, reader),
  };
}
