import { resolve } from 'node:path';
import { z } from 'zod';
import type { ListenerConfig } from './config.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { bind, networkList } from './networks.ts';
import { choice, line, named, notYet, oneOrMore, says, section } from './shape.ts';
import { size, timeout } from './units.ts';

const count = z
  .int()
  .min(1, { error: says('this limit would let nothing in', 'write 1 or more') })
  .max(1_000_000, { error: says('this limit is beyond any machine', 'write 1000000 or less') });

const headSize = size.refine((bytes) => bytes >= 1024 && bytes <= 1024 ** 2, {
  error: says('this is no workable limit for a request head', 'write 1KiB to 1MiB'),
});

function listenerSchema(names: Names) {
  return section({
    type: choice(['forward-proxy'], ['mysql', 'postgres', 'ingress']),
    bind: oneOrMore(bind),
    from: networkList(names).optional(),
    proxyProtocol: section({ from: networkList(names) }).optional(),
    timeouts: section({
      head: timeout.prefault('10s'),
      connect: timeout.prefault('10s'),
      idle: timeout.prefault('5m'),
    }).prefault({}),
    limits: section({
      connections: count.default(20_000),
      perClient: count.default(10_000),
      head: headSize.prefault('64KiB'),
    }).prefault({}),
    tls: section({
      certificate: section({ file: line }),
      key: section({ file: line }),
      clientCa: notYet('clientCa'),
    }).optional(),
    database: notYet('database'),
    trustedHops: notYet('trustedHops'),
  });
}

export function listenersSchema(names: Names) {
  return named(listenerSchema(names)).prefault({});
}

export function toListeners(
  written: z.output<ReturnType<typeof listenersSchema>>,
  merged: Merged,
): ListenerConfig[] {
  return Object.entries(written).map(([name, { type, bind, from, ...rest }]) => ({
    name,
    type,
    bind,
    from,
    proxyProtocol: rest.proxyProtocol,
    tls: rest.tls && {
      certificate: resolve(merged.folder(['listeners', name]), rest.tls.certificate.file),
      key: resolve(merged.folder(['listeners', name]), rest.tls.key.file),
    },
    timeouts: {
      headMs: rest.timeouts.head,
      connectMs: rest.timeouts.connect,
      idleMs: rest.timeouts.idle,
    },
    limits: {
      connections: rest.limits.connections,
      perClient: rest.limits.perClient,
      headBytes: rest.limits.head,
    },
    at: merged.at(['listeners', name], 'key'),
  }));
}
