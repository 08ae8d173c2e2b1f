import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

/** Stands for the SaaS: tells which headers reached it, so that one sees what the gateway took off. */
export async function startUpstream(port: number): Promise<Server> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    const headers = Object.entries(request.headers).map(([name, value]) => `  ${name}: ${value}`);
    response.end(`Hello from the upstream. These headers arrived:\n${headers.join('\n')}\n`);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
