import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The system's own Python, which has the Debian modules; one that comes first on the PATH may not. */
export const PYTHON = '/usr/bin/python3';

export interface Need {
  /** What the tests do with it. */
  readonly serves: string;
  present(): boolean;
  /** What Debian starts along with it, on a port that a gateway may want. */
  readonly service?: string;
}

/** The programs of others that the tests run against, by the Debian package that has them. */
export const PROGRAMS = {
  curl: { serves: 'curl as a client of the proxy', present: () => onPath('curl') },
  wget: { serves: 'wget as a client of the proxy', present: () => onPath('wget') },
  git: { serves: 'git as a client of the proxy', present: () => onPath('git') },
  apt: { serves: 'apt as a client of the proxy', present: () => onPath('apt-get') },
  python3: { serves: "Python's standard library as a client", present: () => runnable(PYTHON) },
  'python3-urllib3': {
    serves: 'urllib3 as a client of the proxy',
    present: () => pythonModule('urllib3'),
  },
  'python3-requests': {
    serves: 'requests as a client of the proxy',
    present: () => pythonModule('requests'),
  },
  'python3-websocket': {
    serves: 'websocket-client as a client of the proxy',
    present: () => pythonModule('websocket'),
  },
  'python3-botocore': {
    serves: 'what the AWS CLI and boto3 are made of, as a client of the proxy',
    present: () => pythonModule('botocore'),
  },
  'ca-certificates': {
    serves: "update-ca-certificates, on a copy of the system's store",
    present: () => onPath('update-ca-certificates'),
  },
  'python3-httpx': {
    serves: 'httpx as a client that speaks HTTP/2',
    present: () => pythonModule('httpx'),
  },
  'python3-h2': { serves: 'HTTP/2 for httpx', present: () => pythonModule('h2') },
  'python3-grpcio': {
    serves: 'gRPC as a client and as an upstream',
    present: () => pythonModule('grpc'),
  },
  haproxy: {
    serves: 'a balancer that sends PROXY headers, and an upstream',
    present: () => onPath('haproxy'),
  },
  'squid-openssl': { serves: 'a parent proxy', present: () => onPath('squid') },
  'build-essential': {
    serves: 'a compiler for the load generator of the benchmark',
    present: () => onPath('cc') && existsSync('/usr/include/stdio.h'),
  },
  iproute2: { serves: 'network namespaces, for exits', present: () => onPath('ip') },
  calamaris: {
    serves: "a reader of logs in Squid's native format",
    present: () => onPath('calamaris'),
  },
  mitmproxy: { serves: 'a peer of the benchmark', present: () => onPath('mitmdump') },
  'nginx-light': { serves: 'nginx as an upstream', present: () => onPath('nginx') },
  nftables: { serves: 'nft, whose sets follow published ranges', present: () => onPath('nft') },
  'mariadb-server': {
    serves: 'a database behind a packet filter',
    present: () => onPath('mariadbd') && onPath('mariadb-install-db'),
    service: 'mariadb',
  },
  bsdutils: { serves: 'script, a terminal to print on', present: () => onPath('script') },
  unzip: { serves: 'what takes apart the zips of functions', present: () => onPath('unzip') },
  systemd: {
    serves: 'what tells systemd of the gateway, and what judges the unit',
    present: () => onPath('systemd-notify') && onPath('systemd-analyze'),
  },
  prometheus: {
    serves: 'Prometheus, which reads the metrics and asks what alerts and dashboard ask',
    present: () => onPath('prometheus') && onPath('promtool'),
    service: 'prometheus',
  },
  'apache2-bin': { serves: 'Apache as an upstream', present: () => onPath('apache2') },
} as const satisfies Record<string, Need>;

export type Program = keyof typeof PROGRAMS;

/** Where a missing program is a failure: a run that skips is no proof. */
export const STRICT = process.env.CI === 'true';

/**
 * For the `skip` option of a test: false when the program is there, else the reason.
 *
 * @throws Error where nothing may be skipped (`CI=true`)
 */
export function needs(...programs: readonly Program[]): false | string {
  const missing = programs.filter((program) => !PROGRAMS[program].present());
  if (missing.length === 0) return false;
  const reason = `needs the Debian package ${missing.join(', ')}`;
  if (STRICT) throw new Error(`a test ${reason}; with CI=true none may be skipped`);
  return reason;
}

export function onPath(program: string): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => runnable(join(folder, program)));
}

function runnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function pythonModule(name: string): boolean {
  return spawnSync(PYTHON, ['-c', `import ${name}`], { stdio: 'ignore' }).status === 0;
}
