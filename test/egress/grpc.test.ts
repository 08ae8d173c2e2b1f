import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { on } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Certificates } from '../support/certificates.ts';
import { run } from '../support/clients.ts';
import { NOT_REMEMBERED } from '../support/credential-gateway.ts';
import { type InterceptSetting, startIntercepting } from '../support/intercept-gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';

const SERVER = `
import sys, time, grpc
from concurrent import futures
key, cert = (open(path, 'rb').read() for path in sys.argv[1:])

class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            '/t.T/Unary': grpc.unary_unary_rpc_method_handler(lambda text, _: b'hello ' + text),
            '/t.T/Many': grpc.unary_stream_rpc_method_handler(self.many),
            '/t.T/Both': grpc.stream_stream_rpc_method_handler(self.both),
            '/t.T/Fails': grpc.unary_unary_rpc_method_handler(self.fails),
            '/t.T/Large': grpc.unary_unary_rpc_method_handler(lambda text, _: text),
        }.get(details.method)
    def many(self, text, context):
        for i in range(5): yield b'%d' % i
        context.set_trailing_metadata((('x-sum', '10'),))
    def both(self, texts, context):
        for text in texts: yield b'echo ' + text
    def fails(self, text, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'not now')

server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(Handler(),))
port = server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials([(key, cert)]))
server.start()
print(port, flush=True)
server.wait_for_termination()
`;

const CLIENT = `
import sys, grpc, queue
ca, authority = sys.argv[1:]
channel = grpc.secure_channel(authority, grpc.ssl_channel_credentials(open(ca, 'rb').read()))
T = 30
print('unary', channel.unary_unary('/t.T/Unary')(b'you', timeout=T))
many = channel.unary_stream('/t.T/Many')(b'', timeout=T)
print('many', b' '.join(many), dict(many.trailing_metadata())['x-sum'])
said = queue.Queue()
answers = channel.stream_stream('/t.T/Both')(iter(said.get, None), timeout=T)
for text in (b'a', b'b'):
    said.put(text)
    print('both', next(answers))
said.put(None)
print('left', list(answers))
large = b'x' * 3_000_000
print('large', channel.unary_unary('/t.T/Large')(large, timeout=T) == large)
for method in ('/t.T/Fails', '/t.T/None', '/t.Hidden/None'):
    try:
        channel.unary_unary(method)(b'', timeout=T)
    except grpc.RpcError as error:
        print(method, error.code().name)
`;

const EXPECTED = `unary b'hello you'
many b'0 1 2 3 4' 10
both b'echo a'
both b'echo b'
left []
large True
/t.T/Fails FAILED_PRECONDITION
/t.T/None UNIMPLEMENTED
/t.Hidden/None PERMISSION_DENIED
`;

/** A gRPC server by the library that most languages have inside. */
async function startGrpc(t: TestContext, { caFile }: Certificates) {
  const files = ['leaf.key', 'leaf.crt'].map((name) => join(caFile, '..', name));
  const child = spawn(PYTHON, ['-c', SERVER, ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  let port = 0;
  for await (const [line] of on(child.stdout, 'data')) {
    port = Number(line);
    break;
  }
  return { ...NOT_REMEMBERED, port, close: async () => {} };
}

async function call(t: TestContext, setting: InterceptSetting = {}) {
  const scene = await startIntercepting(t, {
    rule: ', methods: [POST], paths: [/t.T/**]',
    serve: (certificates) => startGrpc(t, certificates),
    ...setting,
  });
  const { caFile, authority, gateway } = scene;
  const { stdout, stderr } = await run(PYTHON, ['-c', CLIENT, caFile, authority], {
    env: { http_proxy: `http://fn:sesame@127.0.0.1:${gateway.port}` },
  });
  return { ...scene, stdout, stderr };
}

test('gRPC passes in every form, decided on by method', {
  skip: needs('python3-grpcio'),
}, async (t) => {
  const { stdout, gateway } = await call(t);
  assert.equal(stdout, EXPECTED);
  const both = await gateway.outcome(({ path }) => path === '/t.T/Both');
  assert.deepEqual([both.protocol, both.principal, both.outcome.status], ['h2', 'fn', 200]);
});

test('gRPC takes on a token that its client never had, and its answers are masked', {
  skip: needs('python3-grpcio'),
}, async (t) => {
  const { stdout, gateway } = await call(t, {
    rule: ', methods: [POST], paths: [/t.T/**], with: c',
    more: 'credentials: { c: { for: api.localhost, header: { X-Token: [{ env: TOKEN }] }, tls: { ca: { file: ca.pem } } } }',
  });
  assert.equal(stdout, EXPECTED);
  const unary = await gateway.outcome(({ path }) => path === '/t.T/Unary');
  assert.equal(unary.credential?.name, 'c');
});
