import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { main } from '../../src/cli/main.ts';
import { Ec2 } from './aws/ec2.ts';
import { startFakeAws } from './aws/fake-aws.ts';
import { Rds } from './aws/rds.ts';
import { ServiceQuotas } from './aws/service-quotas.ts';
import { startListServer } from './list-server.ts';
import { ROOT } from './sources.ts';

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * `sekisho` within this process, for what needs none of its own: most of the time of a command goes into loading it.
 *
 * @param isTTY whether it prints on a terminal
 */
export async function sekishoHere(
  t: TestContext,
  args: readonly string[],
  isTTY = false,
): Promise<Finished> {
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() };
  const mocks = (['stdout', 'stderr'] as const).map((name) =>
    t.mock.getter(process, name, () => Object.assign(streams[name], { isTTY })),
  );
  const said = [text(streams.stdout), text(streams.stderr)] as const;
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await main(args);
    const code = Number(process.exitCode);
    for (const stream of Object.values(streams)) stream.end();
    const [out, err] = await Promise.all(said);
    return { code, out, err };
  } finally {
    process.exitCode = before;
    for (const { mock } of mocks) mock.restore();
  }
}

/** `sekisho` as a process of its own. */
export function startSekisho(
  t: TestContext,
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const child = spawn(process.execPath, [join(ROOT, 'bin/sekisho.js'), ...args], {
    cwd,
    // What it has compiled is of use to the next one.
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

export async function finished(child: ChildProcess): Promise<Finished> {
  const outputs = [child.stdout, child.stderr].map((stream) =>
    text(stream as NodeJS.ReadableStream),
  );
  const [[code], out = '', err = ''] = await Promise.all([once(child, 'close'), ...outputs]);
  return { code, out, err };
}

/** A published list, an account at AWS with one group, a configuration, and the command line. @param more targets */
export async function workplace(t: TestContext, more = '') {
  const dir = await mkdtemp(join(tmpdir(), 'sekisho-ranges-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const lists = await startListServer(t);
  const ec2 = new Ec2();
  const rds = new Rds();
  const services = [ec2.service, rds.service, new ServiceQuotas().service];
  const aws = await startFakeAws(services);
  t.after(aws.close);
  Object.assign(process.env, aws.env());
  ec2.securityGroups.addGroup('sg-1');
  ec2.securityGroups.interfaces.push({ id: 'eni-1', groups: ['sg-1'] });
  await writeFile(join(dir, 'ca.pem'), lists.ca);
  await writeFile(
    join(dir, 'sekisho.yaml'),
    `version: 1
gateway: { name: g1, dataDir: var }
sets:
  tokyo-ec2: { ranges: { provider: aws, service: EC2, region: ap-northeast-1, url: "${lists.url}" } }
ranges:
  fetch: { ca: { file: ca.pem }, retries: 0 }
  watch: { bind: "127.0.0.1:0", every: 1h }
  targets:
    rds-tokyo:
      set: tokyo-ec2
      securityGroups: { groups: [sg-1], protocol: tcp, port: 3306, region: ap-northeast-1 }
${more}`,
  );
  return {
    dir,
    lists,
    aws,
    groups: ec2.securityGroups,
    rds,
    config: join(dir, 'sekisho.yaml'),
    ranges: (...args: readonly string[]) =>
      sekishoHere(t, ['ranges', ...args, '-c', join(dir, 'sekisho.yaml')]),
    start: (...args: readonly string[]) => startSekisho(t, dir, args, aws.env()),
  };
}

/** What a line of the log says. */
export interface Logged {
  readonly msg: string;
  readonly bind?: string;
  readonly code?: string;
  readonly ignored?: boolean;
  readonly token?: string;
}

/** `sekisho ranges watch` within this process, and what it logs, line by line. */
export function watchHere(t: TestContext, config: string) {
  const stderr = new PassThrough();
  const { mock } = t.mock.getter(process, 'stderr', () => stderr);
  const before = process.exitCode;
  const ended = main(['ranges', 'watch', '-c', config]).finally(() => {
    mock.restore();
    process.exitCode = before;
    stderr.end();
  });
  const lines = createInterface({ input: stderr })[Symbol.asyncIterator]();
  t.after(async () => {
    process.emit('SIGTERM');
    await ended;
  });
  /** The next line that is so. */
  return async (fits: (facts: Logged) => boolean): Promise<Logged> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error('the watch ended before it said so');
      const facts = JSON.parse(value) as Logged;
      if (fits(facts)) return facts;
    }
  };
}
