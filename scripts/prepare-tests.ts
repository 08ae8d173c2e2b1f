/**
 * First step of `npm test`: sees to the programs of others that the tests run against.
 *
 * As root on Debian it installs what is missing; elsewhere it names it, and the tests that need it are skipped. With
 * CI=true a program that is still missing ends the run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Need, PROGRAMS, type Program, STRICT } from '../test/support/programs.ts';

const APT_GET = '/usr/bin/apt-get';

const wanted = missing();
if (wanted.length > 0 && mayInstall()) install(wanted);
const left = missing();
for (const name of left) {
  const effect = STRICT ? 'missing' : 'missing, its tests are skipped';
  say(`${name}: ${effect} (${PROGRAMS[name].serves})`);
}
if (STRICT && left.length > 0) {
  say(`CI=true allows no skipped test; install: ${left.join(' ')}`);
  process.exitCode = 1;
}

function missing(): Program[] {
  return (Object.keys(PROGRAMS) as Program[]).filter((name) => !PROGRAMS[name].present());
}

function mayInstall(): boolean {
  return process.getuid?.() === 0 && spawnSync(APT_GET, ['--version']).status === 0;
}

/** A failure is told, not thrown: what is missing afterwards decides. */
function install(names: readonly Program[]): void {
  say('updating the package lists');
  if (!aptGet('update')) return;
  say(`installing ${names.join(', ')}`);
  // Whatever other service comes along (HAProxy's) is left to Debian: its configuration binds no port as it is delivered.
  aptGet('install', '--yes', '--no-install-recommends', ...names);
  for (const need of names.map((name): Need => PROGRAMS[name])) {
    if (need.service !== undefined) stopService(need.service);
  }
}

/** Where there is no systemd, Debian started nothing. */
function stopService(name: string): void {
  if (existsSync('/run/systemd/system')) spawnSync('systemctl', ['disable', '--now', name]);
}

function aptGet(...args: readonly string[]): boolean {
  const options = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=120'];
  const { status, stdout, stderr } = spawnSync(APT_GET, [...options, ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status === 0) return true;
  say(`apt-get ${args[0]} failed:\n${`${stdout}${stderr}`.split('\n').slice(-20).join('\n')}`);
  return false;
}

function say(line: string): void {
  process.stdout.write(`prepare-tests: ${line}\n`);
}
