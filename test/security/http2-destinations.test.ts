import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { OK } from '../support/credential-gateway.ts';
import { askHttp2 } from '../support/http2.ts';
import {
  answer,
  type FrameDestination,
  goaway,
  type Opened,
  startFrameDestination,
} from '../support/http2-destination.ts';
import {
  CODE,
  type Field,
  FLAG,
  FRAME,
  frame,
  headers,
  resetStream,
} from '../support/http2-frames.ts';
import { type InterceptSetting, startIntercepting } from '../support/intercept-gateway.ts';

const { END_STREAM } = FLAG;

/** A client in order, towards a destination that sends HTTP/2 frame by frame. */
async function startScene(
  t: TestContext,
  setting: InterceptSetting = {},
  plain?: Parameters<typeof startFrameDestination>[1],
) {
  const started = Promise.withResolvers<FrameDestination>();
  const scene = await startIntercepting(t, {
    ...setting,
    async serve(certificates) {
      const destination = await startFrameDestination(certificates, plain);
      started.resolve(destination);
      return destination;
    },
  });
  return { ...scene, destination: await started.promise };
}

const head = (stream: number, ...fields: Field[]) =>
  headers(stream, [[':status', '200'], ...fields], 0);
const data = (stream: number, text: string, flags = 0) => frame(FRAME.DATA, flags, stream, text);

/** What may come in place of the rest of an answer. */
const CUTS: Readonly<Record<string, (at: Opened) => unknown>> = {
  'a reset with NO_ERROR': ({ peer, stream }) => peer.send(resetStream(stream, CODE.NO_ERROR)),
  'a reset with CANCEL': ({ peer, stream }) => peer.send(resetStream(stream, CODE.CANCEL)),
  'a reset with REFUSED_STREAM': ({ peer, stream }) =>
    peer.send(resetStream(stream, CODE.REFUSED_STREAM)),
  'the end of its connection': ({ peer }) => peer.socket.end(),
  'a GOAWAY with NO_ERROR and its end': ({ peer, stream }) =>
    peer.send(goaway(stream)).socket.end(),
  'a GOAWAY with an error': ({ peer, stream }) => peer.send(goaway(stream, CODE.INTERNAL_ERROR)),
  'a GOAWAY for streams before it': ({ peer }) => peer.send(goaway(0)),
};

for (const method of ['GET', 'POST']) {
  test(`an answer to a ${method} that is cut is whole for no client, however it is cut`, async (t) => {
    const { session, destination, gateway } = await startScene(t);
    const client = await session();
    for (const [what, cut] of Object.entries(CUTS)) {
      const fields = { ':method': method, ':path': '/' };
      const stream = client.request(fields, { endStream: method === 'GET' });
      stream.on('error', () => {});
      const closed = new Promise((resolve) => stream.once('close', resolve));
      const at = await destination.next();
      at.peer.send(head(at.stream), data(at.stream, 'part'));
      // Once what comes before the cut has passed.
      await once(stream, 'data');
      cut(at);
      await closed;
      assert.notEqual(stream.rstCode, CODE.NO_ERROR, what);
    }
    const outcomes = gateway.events.flatMap((event) =>
      event.type === 'outcome' && event.action === method ? [event.outcome.error] : [],
    );
    assert.deepEqual(outcomes, Object.keys(CUTS).fill('upstream-reset'));
  });
}

test('an answer that is whole goes on as such, though its request is reset behind it', async (t) => {
  const { session, destination } = await startScene(t);
  const client = await session();
  const stream = client.request({ ':method': 'POST', ':path': '/' }, { endStream: false });
  const { peer, stream: id } = await destination.next();
  peer.send(head(id), data(id, 'enough', END_STREAM), resetStream(id, CODE.NO_ERROR));
  let text = '';
  for await (const piece of stream) text += piece;
  assert.deepEqual([text, stream.rstCode], ['enough', CODE.NO_ERROR]);
  client.destroy();
});

test('a destination that closes without a GOAWAY is asked by another connection', async (t) => {
  const { session, destination, gateway } = await startScene(t);
  const client = await session();
  const ask = (path: string) => askHttp2(client, { ':method': 'POST', ':path': path });
  const first = ask('/1');
  const { peer, stream } = await destination.next();
  peer.send(answer(stream));
  assert.equal((await first).status, 200);
  const closed = once(peer.socket, 'close');
  peer.socket.end();
  // By its own FIN the gateway tells that it knows.
  await closed;
  const second = ask('/2');
  const next = await destination.next();
  next.peer.send(answer(next.stream));
  assert.equal((await second).status, 200);
  assert.equal(destination.peers.length, 2);
  assert.equal((await gateway.outcome(({ path }) => path === '/2')).outcome.error, null);
});

test('an answer that came whole reaches a client that is slow, though its destination has closed', async (t) => {
  const { session, destination } = await startScene(t);
  const client = await session();
  const slow = client.request({ ':path': '/slow' }).pause();
  const { peer, stream } = await destination.next();
  // More than the client lets be sent, and less than the gateway does.
  const pieces = Array.from({ length: 12 }, (_, i) =>
    data(stream, 'x'.repeat(16_000), i === 11 ? END_STREAM : 0),
  );
  peer.send(head(stream), ...pieces, goaway(stream)).socket.end();
  // By another connection, so that it is known here that this one is closed.
  const asked = askHttp2(client, { ':path': '/next' });
  let next = await destination.next();
  if (next.peer === peer) next = await destination.next();
  next.peer.send(answer(next.stream));
  assert.equal((await asked).body, 'ok');
  let length = 0;
  for await (const piece of slow) length += piece.length;
  assert.equal(length, 12 * 16_000);
});

test('a stream whose answer ends behind its length is not reset: servers count that against us', async (t) => {
  const { session, destination } = await startScene(t);
  const client = await session();
  for (let asked = 0; asked < 3; asked++) {
    const answered = askHttp2(client, { ':path': '/' });
    const { peer, stream } = await destination.next();
    peer.send(head(stream, ['content-length', '2']), data(stream, 'ok'));
    assert.equal((await answered).body, 'ok');
    peer.send(data(stream, '', END_STREAM));
  }
  const [peer] = destination.peers;
  assert.equal(destination.peers.length, 1);
  assert.equal(peer?.frames.filter(({ type }) => type === FRAME.RST_STREAM).length, 0);
});

test('a destination that insists on HTTP/1.1 is asked by it, and from then on', async (t) => {
  let plain = 0;
  const { session, destination } = await startScene(t, {}, (socket) =>
    socket.on('data', () => {
      plain++;
      socket.write(OK);
    }),
  );
  const client = await session();
  const first = askHttp2(client, { ':path': '/1' });
  const { peer, stream } = await destination.next();
  peer.send(resetStream(stream, CODE.HTTP_1_1_REQUIRED));
  assert.deepEqual([(await first).body, plain], ['ok', 1]);
  const second = await askHttp2(client, { ':method': 'POST', ':path': '/2' });
  assert.deepEqual([second.body, plain, destination.peers.length], ['ok', 2, 1]);
});

test('behind a GOAWAY what it leaves out is asked again where that is safe, and the rest goes on', async (t) => {
  const { session, destination } = await startScene(t);
  const client = await session();
  const ask = (method: string, body?: string) =>
    askHttp2(client, { ':method': method, ':path': `/${method}` }, body);
  const before = [ask('PUT'), ask('POST', 'body')];
  const [first, second] = [await destination.next(), await destination.next()];
  const [left, lost] = [ask('DELETE'), ask('PATCH', 'body')];
  await destination.next();
  const last = await destination.next();
  // Its body has gone.
  await last.peer.endOf(last.stream);
  first.peer.send(goaway(second.stream));
  const again = await destination.next();
  assert.notEqual(again.peer, first.peer);
  again.peer.send(answer(again.stream, 'again'));
  assert.equal((await left).body, 'again');
  assert.equal((await lost).headers['sekisho-reason'], 'upstream-reset');
  for (const { peer, stream } of [first, second]) peer.send(answer(stream, 'before'));
  for (const answered of before) assert.equal((await answered).body, 'before');
});

test('a destination that stops answering is given up, and the next request asks by another connection', async (t) => {
  const { session, destination } = await startScene(t);
  const client = await session();
  const silent = client.request({ ':path': '/silent' });
  silent.on('error', () => {});
  const { peer, stream } = await destination.next();
  peer.silent = true;
  silent.close(CODE.CANCEL);
  assert.ok(await peer.first(({ type, flags }) => type === FRAME.PING && flags === 0));
  const asked = askHttp2(client, { ':method': 'POST', ':path': '/' });
  const next = await destination.next();
  assert.notEqual(next.peer, peer);
  next.peer.send(answer(next.stream));
  assert.equal((await asked).body, 'ok');
  // An answer that comes late is for nobody.
  peer.send(answer(stream, 'late'));
  const last = askHttp2(client, { ':path': '/' });
  const again = await destination.next();
  assert.equal(again.peer, next.peer);
  again.peer.send(answer(again.stream, 'last'));
  assert.equal((await last).body, 'last');
});

test('a request whose body was gathered to be signed is sent once more where it was refused unseen', async (t) => {
  const { session, destination } = await startScene(t, {
    rule: ', with: s3',
    more: 'credentials: { s3: { for: api.localhost, sigv4: { service: execute-api, region: ap-northeast-1, maxBody: 64KiB }, tls: { ca: { file: ca.pem } } } }',
    env: { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'a key that signs' },
  });
  const asked = askHttp2(await session(), { ':method': 'POST', ':path': '/' }, 'a body');
  const { peer, stream } = await destination.next();
  peer.send(resetStream(stream, CODE.REFUSED_STREAM));
  const again = await destination.next();
  const sent = await again.peer.first(({ type }) => type === FRAME.DATA);
  assert.equal(String(sent?.payload), 'a body');
  again.peer.send(answer(again.stream));
  assert.equal((await asked).body, 'ok');
});
