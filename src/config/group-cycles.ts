import { type Diagnostic, Fault, quote } from '../core/diagnostic.ts';
import type { Merged } from './merge.ts';

/** Groups that hold themselves by way of others. Of circles that share a group, one is told. */
export function checkGroupCycles(merged: Merged, faults: Diagnostic[]): void {
  const inner = innerGroups(merged);
  const done = new Set<string>();
  for (const start of inner.keys()) {
    const cycle = findCycle(start, inner, done);
    if (cycle === undefined) continue;
    const circle = [...cycle, cycle[0] as string].map(quote).join(' > ');
    const fault = new Fault(`the groups hold one another: ${circle}`, 'take one out of another');
    faults.push(fault.at(merged.at(['groups', cycle[0] as string], 'key')));
  }
}

function innerGroups(merged: Merged): Map<string, string[]> {
  const groups = merged.map('groups');
  return new Map(
    Object.entries(groups).map(([name, members]) => [
      name,
      (Array.isArray(members) ? members : []).filter(
        (member): member is string => typeof member === 'string' && Object.hasOwn(groups, member),
      ),
    ]),
  );
}

/** Depth first, without recursion: a chain of groups may be long. Every group is entered once over all calls. */
function findCycle(
  start: string,
  inner: ReadonlyMap<string, readonly string[]>,
  done: Set<string>,
): string[] | undefined {
  if (done.has(start)) return undefined;
  const path = [{ name: start, next: 0 }];
  const onPath = new Set([start]);
  let cycle: string[] | undefined;
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const member = inner.get(top.name)?.[top.next++];
    if (member === undefined) {
      path.pop();
      onPath.delete(top.name);
      done.add(top.name);
    } else if (onPath.has(member)) {
      cycle ??= path.slice(path.findIndex(({ name }) => name === member)).map(({ name }) => name);
    } else if (!done.has(member)) {
      path.push({ name: member, next: 0 });
      onPath.add(member);
    }
  }
  return cycle;
}
