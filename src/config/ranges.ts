import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { type Diagnostic, Fault, positionText, quote } from '../core/diagnostic.ts';
import { permissionText } from '../core/permission.ts';
import type { Merged } from './merge.ts';
import { type Names, parseWord } from './names.ts';
import { bind } from './networks.ts';
import type { RangesConfig, RangesTargetConfig } from './ranges-config.ts';
import { targetsSchema, toTarget } from './ranges-targets.ts';
import { line, parsed, section } from './shape.ts';
import { besides, type FileReader } from './surroundings.ts';
import { timeout, timer } from './units.ts';

/** @throws Fault */
function parsePercentage(text: string): number {
  const match = /^(\d{1,2}|100)%$/.exec(text);
  if (match !== null) return Number(match[1]) / 100;
  throw new Fault(`${quote(text)} is not a part`, 'write 0% to 100%: 20%');
}

/** @throws Fault */
function parseProxy(text: string): string {
  const url = URL.parse(text);
  if (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.pathname === '/'
  ) {
    return url.origin;
  }
  throw new Fault('this is not the URL of a proxy', 'write http://proxy.example:3128');
}

/** Where AWS says that its addresses changed. */
const TOPIC = 'arn:aws:sns:us-east-1:806199016981:AmazonIpSpaceChanged';

/** @throws Fault */
function parseTopic(text: string): string {
  if (/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}$/.test(text)) return text;
  throw new Fault(`${quote(text)} is not a topic of SNS`, `write ${TOPIC}`);
}

export function rangesSchema(names: Names) {
  return section({
    fetch: section({
      proxy: parsed(parseProxy, 'An HTTP proxy: http://proxy.example:3128.').optional(),
      ca: section({ file: line }).optional(),
      timeout: timeout.prefault('30s'),
      retries: z.int().min(0).max(10).default(4),
    }).prefault({}),
    shrink: parsed(parsePercentage, 'A percentage: 20%.').prefault('20%'),
    refresh: section({
      every: timeout.prefault('1h'),
      jitter: timer.prefault('5m'),
    }).prefault({}),
    watch: section({
      every: timeout.prefault('1h'),
      jitter: timer.prefault('5m'),
      maxAge: timeout.prefault('1d'),
      bind: bind.prefault('127.0.0.1:9092'),
      tls: section({
        certificate: section({ file: line }),
        key: section({ file: line }),
      }).optional(),
    }).prefault({}),
    sns: section({ topic: parsed(parseTopic).prefault(TOPIC) }).optional(),
    targets: targetsSchema(names).default({}),
  }).prefault({});
}

/** @param reader reads the CA that lists are fetched by, and takes the faults that concern several targets */
export function toRanges(
  written: z.output<ReturnType<typeof rangesSchema>>,
  merged: Merged,
  reader: FileReader,
): RangesConfig {
  const { fetch, refresh, watch } = written;
  const targets = Object.entries(written.targets).map(([name, target]) => {
    const at = merged.at(['ranges', 'targets', name], 'key');
    checkName(name, at, reader.faults);
    return toTarget(name, target, at, dirname(at.file));
  });
  checkShared(targets, reader.faults);
  const caAt = fetch.ca && merged.at(['ranges', 'fetch', 'ca', 'file']);
  return {
    fetch: {
      proxy: fetch.proxy,
      ca: fetch.ca && caAt && reader.read(besides(dirname(caAt.file), fetch.ca.file), caAt),
      timeoutMs: fetch.timeout,
      retries: fetch.retries,
    },
    shrink: written.shrink,
    refresh: { everyMs: refresh.every, jitterMs: refresh.jitter },
    watch: {
      everyMs: watch.every,
      jitterMs: watch.jitter,
      maxAgeMs: watch.maxAge,
      bind: watch.bind,
      tls: watch.tls && {
        certificate: resolve(merged.folder(['ranges', 'watch']), watch.tls.certificate.file),
        key: resolve(merged.folder(['ranges', 'watch']), watch.tls.key.file),
      },
    },
    sns: written.sns,
    targets,
  };
}

function checkName(name: string, at: RangesTargetConfig['at'], faults: Diagnostic[]): void {
  try {
    parseWord(name);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    faults.push(error.at(at));
  }
}

/** Where one target would take away what another one needs. */
function checkShared(targets: readonly RangesTargetConfig[], faults: Diagnostic[]): void {
  for (const [i, target] of targets.entries()) {
    for (const other of targets.slice(0, i)) {
      const shared = placesOf(target).find((place) => placesOf(other).includes(place));
      if (shared === undefined) continue;
      const message = `${quote(shared)} is also written by ${quote(other.name)}, at ${positionText(other.at)}`;
      const remedy = 'make one target of the two, with a list of sets';
      faults.push(new Fault(message, remedy).at(target.at));
    }
  }
}

function placesOf(target: RangesTargetConfig): string[] {
  switch (target.kind) {
    case 'securityGroups':
      return target.groups.flatMap((group) =>
        target.permissions.map((permission) => `${group} ${permissionText(permission)}`),
      );
    case 'prefixLists':
      return [...target.lists];
    case 'wafIpSets':
      return target.ipSets.map(({ id }) => id);
    case 'nftables':
      return [target.ipv4, target.ipv6]
        .filter((set) => set !== undefined)
        .map((set) => `${target.family} ${target.table} ${set}`);
    case 'file':
      return [target.path];
  }
}
