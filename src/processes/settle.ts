import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back what only the start needed: sources that were compiled, a configuration as it was sent, room for young objects that
 * grew with them. V8 would keep it until the heap is under pressure, which at rest it never is. Takes some ten milliseconds in
 * which nothing else happens: not for a process that serves.
 */
export function settleHeap(): void {
  // The one way to the collector for a process that was not started with the flag.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
