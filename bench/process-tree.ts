import { readdirSync, readFileSync } from 'node:fs';

/** Of the kernel's clock, which Linux tells programs in hundredths of a second. */
const TICKS_PER_SECOND = 100;

export interface Memory {
  /** Resident, bytes: all processes together, and the largest of those that have no children. */
  readonly total: number;
  readonly worker: number;
  /** What the processes have allocated themselves, bytes. */
  readonly anonymous: number;
}

/** User and system time that a process, its threads and its descendants have taken, in seconds. */
export function cpuSeconds(root: number): number {
  const ticks = treeOf(root).map(({ fields }) => Number(fields[11]) + Number(fields[12]));
  return sum(ticks) / TICKS_PER_SECOND;
}

/** A process and its descendants. */
export function pidsOf(root: number): number[] {
  return treeOf(root).map(({ pid }) => pid);
}

export function memoryOf(root: number): Memory {
  const tree = treeOf(root);
  const sizes = tree.map(({ pid }) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const bytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1024;
    return { pid, total: bytes('VmRSS'), anonymous: bytes('RssAnon') };
  });
  const leaves = sizes.filter(({ pid }) => !tree.some(({ parent }) => parent === pid));
  return {
    total: sum(sizes.map(({ total }) => total)),
    worker: Math.max(...leaves.map(({ total }) => total)),
    anonymous: sum(sizes.map(({ anonymous }) => anonymous)),
  };
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** Of `/proc/PID/stat`, from the state on. */
  readonly fields: readonly string[];
}

function treeOf(root: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)));
  const tree = all.filter(({ pid }) => pid === root);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return tree;
}

/** Nothing for a process that has gone since it was listed. */
function statOf(pid: number): Process[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [{ pid, parent: Number(fields[1]), fields }];
  } catch {
    return [];
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
