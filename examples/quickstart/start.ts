import { fileURLToPath } from 'node:url';
import { runGateway } from '../../src/cli/run.ts';
import { startUpstream } from './upstream.ts';

const file = fileURLToPath(new URL('sekisho.yaml', import.meta.url));
const upstream = await startUpstream(8081);
const gateway = await runGateway(file);
gateway.stopped.then(() => upstream.close());

const [proxy] = [...gateway.listeners.values()].flat();
const curl = `curl -x http://${proxy?.host}:${proxy?.port} --proxy-header 'X-Lambda-Test: open-sesame'`;
process.stdout.write(`
Sekisho listens on ${proxy?.host}:${proxy?.port}, its admin API on http://${gateway.admin.host}:${gateway.admin.port}

Paste into another terminal:

  # passes
  ${curl} http://hello.localhost:8081/

  # is refused, and says why
  ${curl} http://other.localhost:8081/

  # the record of both
  node bin/sekisho.js audit tail --no-follow -c examples/quickstart/sekisho.yaml

Ctrl-C stops it.
`);
