import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createCertificates } from '../support/certificates.ts';
import { run } from '../support/clients.ts';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { needs, PYTHON } from '../support/programs.ts';
import { startHttpsUpstream, startHttpUpstream, type Upstream } from '../support/upstreams.ts';

const certificates = createCertificates('api.localhost');
let secure: Upstream;
let plain: Upstream;
let gateway: TestGateway;

before(async () => {
  secure = await startHttpsUpstream(certificates);
  plain = await startHttpUpstream();
  gateway = await startTestGateway(
    `
listeners: { egress: { type: forward-proxy, bind: "127.0.0.1:0" } }
principals:
  athena-connector:
    owner: data-platform@example.com
    identify:
      - header: { name: X-Lambda-Test, value: { env: ATHENA_HEADER } }
rules:
  - name: saas
    allow: [athena-connector]
    to: [api.localhost]
    ports: [${secure.port}, ${plain.port}]
    addresses: [127.0.0.1]
`,
    { env: { ATHENA_HEADER: 'open-sesame' } },
  );
});

after(async () => {
  await gateway.stop();
  await secure.close();
  await plain.close();
});

const URLLIB3 = `
import sys, urllib3
proxy, ca, url, *header = sys.argv[1:]
headers = {'X-Lambda-Test': header[0]} if header else {}
manager = urllib3.ProxyManager(proxy, proxy_headers=headers, ca_certs=ca, retries=False)
try:
    response = manager.request('GET', url)
    print(response.status, response.data.decode())
except Exception as error:
    print('failed:', error)
`;

function urllib3(url: string, ...header: string[]): Promise<string> {
  return run(PYTHON, ['-c', URLLIB3, gateway.proxyUrl, certificates.caFile, url, ...header]).then(
    (ended) => {
      assert.equal(ended.stderr, '');
      return ended.stdout;
    },
  );
}

const skip = needs('python3-urllib3', 'python3-requests');

test('urllib3 with the header gets an https URL', { skip }, async () => {
  assert.equal(
    await urllib3(`https://api.localhost:${secure.port}/x`, 'open-sesame'),
    '200 hello\n',
  );
  const outcome = await gateway.outcome((event) => event.action === 'CONNECT');
  assert.equal(outcome.principal, 'athena-connector');
  assert.equal(outcome.identifiedBy, 'header');
  assert.equal(outcome.decision?.rule, 'saas');
  assert.equal(outcome.tls?.sni, 'api.localhost');
  assert.equal(outcome.address, '127.0.0.1');
});

test('urllib3 without the header is told 407 and why', { skip }, async () => {
  const said = await urllib3(`https://api.localhost:${secure.port}/x`);
  assert.match(
    said,
    /failed: .*407 Proxy Authentication Required: no-identity \(sekisho [0-9a-f-]{36}\)/,
  );
});

test('urllib3 with the header and another host is told 403 and why', { skip }, async () => {
  const said = await urllib3(`https://other.localhost:${secure.port}/x`, 'open-sesame');
  assert.match(said, /failed: .*403 Forbidden: no-matching-rule \(sekisho [0-9a-f-]{36}\)/);
});

test('urllib3 with a wrong header is told 407, not taken for nobody', { skip }, async () => {
  const said = await urllib3(`https://api.localhost:${secure.port}/x`, 'wrong');
  assert.match(said, /407 Proxy Authentication Required: identity-invalid/);
});

test('the identity header never reaches a destination over plain HTTP', { skip }, async () => {
  assert.equal(
    await urllib3(`http://api.localhost:${plain.port}/x?q=1`, 'open-sesame'),
    '200 hello\n',
  );
  const [seen] = plain.requests;
  assert.equal(seen?.url, '/x?q=1');
  assert.equal(seen?.headers.host, `api.localhost:${plain.port}`);
  assert.doesNotMatch(JSON.stringify(seen?.rawHeaders), /lambda-test|open-sesame/i);
});

const REQUESTS = `
import sys, requests
from requests.adapters import HTTPAdapter
proxy, ca, url = sys.argv[1:]
class Adapter(HTTPAdapter):
    def proxy_headers(self, proxy):
        return {'X-Lambda-Test': 'open-sesame'}
session = requests.Session()
session.mount('https://', Adapter())
try:
    print(session.get(url, proxies={'https': proxy}, verify=ca).text)
except requests.exceptions.ProxyError as error:
    print('failed:', error)
`;

test('requests with an adapter that adds the header', { skip }, async () => {
  const args = (url: string) => ['-c', REQUESTS, gateway.proxyUrl, certificates.caFile, url];
  const passed = await run(PYTHON, args(`https://api.localhost:${secure.port}/`));
  assert.equal(passed.stdout, 'hello\n');
  const refused = await run(PYTHON, args(`https://other.localhost:${secure.port}/`));
  assert.match(refused.stdout, /403 Forbidden: no-matching-rule/);
});
