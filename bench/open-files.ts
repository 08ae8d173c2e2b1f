import { spawnSync } from 'node:child_process';

interface Report {
  readonly userLimits: { readonly open_files: { readonly hard: number | string } };
}

/** More than any row needs. */
const ENOUGH = 60_000;

/** How many files a program that is started here may have open: raised, where root does this. */
export function openFilesLimit(): number {
  if (hardLimit() < ENOUGH)
    spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${ENOUGH}:${ENOUGH}`]);
  return Math.min(ENOUGH, hardLimit());
}

function hardLimit(): number {
  const { hard } = (process.report.getReport() as Report).userLimits.open_files;
  return Number(hard) || ENOUGH;
}
