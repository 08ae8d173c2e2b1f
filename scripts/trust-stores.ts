/**
 * Has programs trust the CA of an intercepting gateway by the lines that `sekisho ca install-help` prints for them, as they stand there:
 *
 *     npm run trust-stores
 *
 * Takes root on Debian, and of the programs those that are there (default-jdk-headless, golang-go, ruby, php-cli, awscli, and
 * what the tests need). What the lines change of the system is undone with the shell that they run in.
 */
import { HEAVY, LIGHT } from '../test/support/store-clients.ts';
import { askTrusting } from '../test/support/trust-stores.ts';

const clients = [...LIGHT, ...HEAVY];
const ends: (() => unknown)[] = [];
const after = (end: unknown) => void ends.push(end as () => unknown);
try {
  const { before, told, errors } = await askTrusting({ after }, clients);
  const failed = clients.filter(({ name, prints }) => {
    const [without = '', withLines = ''] = [before[name], told[name]];
    const holds = !prints.test(without) && prints.test(withLines);
    console.log(`${holds ? 'trusts' : 'FAILED'}  ${name}`);
    return !holds;
  });
  if (failed.length > 0) {
    process.stderr.write(errors);
    process.exitCode = 1;
  }
} finally {
  for (const end of ends.reverse()) await end();
}
