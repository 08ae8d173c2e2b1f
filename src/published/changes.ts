import type { SetRefresh } from '../audit/event.ts';
import type { Config, SetConfig } from '../config/config.ts';
import type { Work } from '../core/work.ts';

/** Of the networks that came or went, so many are named. */
const LISTED = 100;

/** What is another thing than before in the sets that follow lists. */
export function* changesBetween(
  before: Pick<Config, 'sets'>,
  after: Pick<Config, 'sets'>,
): Work<SetRefresh[]> {
  const changes: SetRefresh[] = [];
  for (const [name, set] of after.sets) {
    if (set.published === undefined || set.list === undefined) continue;
    const change = yield* changeOf(name, before.sets.get(name), set);
    if (change !== undefined) changes.push(change);
  }
  return changes;
}

function* changeOf(
  name: string,
  before: SetConfig | undefined,
  after: SetConfig,
): Work<SetRefresh | undefined> {
  const isClosed = after.closed ?? false;
  const isSame = before?.list?.sha256 === after.list?.sha256;
  if (isSame && isClosed === (before?.closed ?? false)) return undefined;
  const was = isSame ? new Set<string>() : yield* textsOf(before);
  const is = isSame ? was : yield* textsOf(after);
  const added = [...is].filter((text) => !was.has(text));
  const removed = [...was].filter((text) => !is.has(text));
  return {
    set: name,
    closed: isClosed,
    token: after.list?.token ?? null,
    sha256: after.list?.sha256 ?? '',
    networks: after.entries.length,
    added: added.slice(0, LISTED),
    removed: removed.slice(0, LISTED),
    counts: { added: added.length, removed: removed.length },
  };
}

function* textsOf(set: SetConfig | undefined): Work<Set<string>> {
  const texts = new Set<string>();
  for (const entry of set?.entries ?? []) {
    if (entry.kind === 'network') texts.add(String(entry.cidr));
    yield;
  }
  return texts;
}
