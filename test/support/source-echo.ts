/**
 * An HTTP server that answers with the address it is asked from, and prints every connection: `8081 from 10.77.0.1`.
 *
 *     node source-echo.ts PORT...
 */
import { createServer } from 'node:http';
import type { Socket } from 'node:net';

const sourceOf = ({ remoteAddress }: Socket) => remoteAddress?.replace('::ffff:', '') ?? '';

for (const port of process.argv.slice(2).map(Number)) {
  const server = createServer((request, response) => {
    const ip = sourceOf(request.socket);
    // Nobody keeps a connection, so every request shows which address a new one has.
    response.setHeader('connection', 'close');
    response.end(request.url === '/json' ? JSON.stringify({ ip }) : `${ip}\n`);
  });
  server.on('connection', (socket) => console.log(`${port} from ${sourceOf(socket)}`));
  server.listen(port, '::', () => console.log(`${port} listens`));
}
