import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Namespace } from './namespaces.ts';

/** A real MariaDB within a namespace, on port 3306 of all its addresses, with a user `app` without password. */
export async function startMariaDb(namespace: Namespace): Promise<{ remove(): void }> {
  const dir = mkdtempSync(join(tmpdir(), 'sekisho-mariadb-'));
  const data = join(dir, 'data');
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db', '--user=root'];
  execFileSync('mariadb-install-db', ['--no-defaults', `--datadir=${data}`, ...install], {
    stdio: 'pipe',
  });
  const child = namespace.spawn(
    'mariadbd',
    '--no-defaults',
    '--user=root',
    `--datadir=${data}`,
    `--socket=${join(dir, 'socket')}`,
    `--pid-file=${join(dir, 'pid')}`,
    '--bind-address=0.0.0.0',
    '--skip-name-resolve',
    '--max-connect-errors=1000000',
    '--innodb-buffer-pool-size=8M',
    '--performance-schema=off',
  );
  const log = createInterface({ input: child.stderr as NodeJS.ReadableStream });
  const ready = new Promise<void>((resolve, reject) => {
    log.on('line', (line) => {
      if (line.includes('ready for connections')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`mariadbd ended with ${code}`)));
  });
  await ready;
  const sql = "CREATE USER app@'%'; GRANT SELECT ON *.* TO app@'%'";
  await namespace.run(
    'mariadb',
    '--no-defaults',
    `--socket=${join(dir, 'socket')}`,
    '-uroot',
    '-e',
    sql,
  );
  return { remove: () => rmSync(dir, { recursive: true, force: true }) };
}
