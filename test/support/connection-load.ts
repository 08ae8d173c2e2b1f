import { connect } from 'node:net';

/**
 * `node connection-load.ts LOCAL_ADDRESS HOST PORT`: opens one connection after the other from an address and waits for the
 * greeting of the database. On SIGTERM prints how many greeted, and what went wrong with the others.
 */
const [localAddress = '', host = '', port = ''] = process.argv.slice(2);
const told = { greeted: 0, failed: [] as string[] };
let isOver = false;

process.on('SIGTERM', () => {
  isOver = true;
});

function greeting(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), localAddress, timeout: 5000 });
    socket.once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.once('timeout', () => socket.destroy(new Error('timeout')));
    socket.once('error', reject);
    socket.once('end', () => reject(new Error('closed before the greeting')));
  });
}

process.stdout.write('begun\n');
while (!isOver) {
  await greeting().then(
    () => told.greeted++,
    (error: Error) => told.failed.push(error.message),
  );
}
process.stdout.write(`${JSON.stringify(told)}\n`);
