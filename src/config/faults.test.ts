import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultsOf } from '../../test/support/config.ts';

/** YAML below `version: 1` with a § before each place that is at fault, and what is told of these places. */
type Row = readonly [yaml: string, ...faults: string[]];

const PRINCIPAL = 'principals: { app: { identify: [{ bearer: { token: { env: T } } }] } }\n';
const rule = (more: string) =>
  `${PRINCIPAL}rules: [{ name: r, allow: [app], to: [a.example], ${more} }]`;
const listener = (more: string) =>
  `listeners: { l: { type: forward-proxy, bind: "127.0.0.1:0", ${more} } }`;
const identify = (entry: string) => `principals: { app: { identify: [${entry}] } }`;
const parent = (more: string) => `exits: { e: { parentProxy: { ${more} } } }`;
const CREDENTIAL =
  'credentials: { mine: { for: other.example, basic: { username: u, password: { env: T } } } }\n';
const kind = (more: string) => `credentials: { c: { for: a.example, ${more} } }`;
const to = (entry: string) => `${PRINCIPAL}rules: [{ name: r, allow: [app], to: [${entry}] }]`;

const otlp = (more: string) => `traces: { otlp: { ${more} } }`;
const collector = (url: string) => otlp(`url: §"${url}"`);
const header = (entry: string, url = 'https://c.example') =>
  otlp(`url: "${url}", headers: { ${entry} }`);

const published = (more: string) => `sets: { s: { ranges: { ${more} } } }`;
const target = (more: string, name = 't') =>
  `${published('provider: aws')}\nranges: { targets: { ${name}: { set: s, ${more} } } }`;
const groups = (more: string) => target(`securityGroups: { ${more} }`);

const refuses = (what: string) =>
  `this version does not enforce "${what}" yet and therefore refuses it; remove it`;

const TABLE: Readonly<Record<string, readonly Row[]>> = {
  'sets that follow published ranges': [
    ['sets: { s: { ranges: §{} } }', 'this names no list; write a provider, a url or a file'],
    [
      'sets: { s: { ranges: §{ provider: azure } } }',
      'Azure publishes at another address every week; name a url or a file',
    ],
    [
      published('provider: aws, url: §"http://a.example/l"'),
      '"http://a.example/l" can be changed by anybody on the way; write https://, or fetch it by other means and name the file',
    ],
    [
      'sets: { s: { ranges: §{ provider: github, region: x } } }',
      'the list of github cannot be filtered by region; remove region',
    ],
    [
      'sets: { s: { ranges: §{ url: "https://a.example/l", file: x } } }',
      'a list has one place; keep one of url and file',
    ],
    [
      'sets: { s: §{ ranges: { provider: aws }, addresses: [10.0.0.1] } }',
      'a set that follows ranges lists nothing itself; make two sets of it',
    ],
    [
      `${published('provider: aws')}\nnetworks: { owned: [§s] }`,
      'the set "s" follows a published list, and what is yours is for you to say; name the networks themselves',
    ],
  ],
  'targets of ranges': [
    [
      'ranges: { targets: { t: §{ set: §x } } }',
      'this target is nowhere; write one of securityGroups, prefixLists, wafIpSets, nftables, file',
      'no set is called "x"; define it under sets',
    ],
    [
      'sets: { h: { hosts: [a.example] } }\nranges: { targets: { t: { set: §h, file: { path: f, format: plain } } } }',
      'the set "h" has no addresses; name a set that has some',
    ],
    [
      target('file: { path: f, format: plain }', '§"a b"'),
      '"a b" is not a name; use letters, digits, "-" and "_", and begin with a letter',
    ],
    [
      groups('groups: [§sg_1], protocol: tcp, port: 1, region: §tokyo'),
      '"sg_1" is not the id of a security group; write sg-0123456789abcdef0',
      '"tokyo" is not a region; write ap-northeast-1',
    ],
    [
      target('securityGroups: §{ groups: [sg-1], protocol: tcp, region: us-east-1 }'),
      'these protocols have ports; write port: 3306',
    ],
    [
      target('securityGroups: §{ groups: [sg-1], protocol: all, port: 1, region: us-east-1 }'),
      'all has no ports; remove port, or make it a target of its own',
    ],
    [
      target('wafIpSets: §{ ipSets: [{ name: a, id: a1 }], scope: CLOUDFRONT, region: eu-west-1 }'),
      'CloudFront has its IP sets in us-east-1 alone; write region: us-east-1',
    ],
    [
      target('nftables: §{ table: t }'),
      'this names no set; write ipv4, ipv6 or both: the names of sets in that table',
    ],
    [
      `${target('file: { path: /f, format: plain }').slice(0, -3)}, §u: { set: s, file: { path: /f, format: json } } } }`,
      '"/f" is also written by "t", at sekisho.yaml:3:22; make one target of the two, with a list of sets',
    ],
    [
      'ranges: { sns: { topic: §mine } }',
      '"mine" is not a topic of SNS; write arn:aws:sns:us-east-1:806199016981:AmazonIpSpaceChanged',
    ],
    ['ranges: { shrink: §20 }', '"20" is not a part; write 0% to 100%: 20%'],
    [
      'ranges: { fetch: { proxy: §"http://u:p@a.example" } }',
      'this is not the URL of a proxy; write http://proxy.example:3128',
    ],
  ],
  'keys that nobody knows': [
    ['§gatewey: {}', 'the key "gatewey" is unknown; did you mean "gateway"?'],
    ['gateway: { §nmae: x }', 'the key "nmae" is unknown; did you mean "name"?'],
    ['networks: { §mine: [] }', 'the key "mine" is unknown; known here: owned'],
    [rule('§adresses: [10.0.0.1]'), 'the key "adresses" is unknown; did you mean "addresses"?'],
  ],
  'what the language has and this version does not enforce': [
    ['§identity: {}', refuses('identity')],
    ['§databases: {}', refuses('databases')],
    ['§ingress: {}', refuses('ingress')],
    ['§stores: {}', refuses('stores')],
    ['listeners: { l: { type: §mysql, bind: "127.0.0.1:1" } }', refuses('mysql')],
    [identify('{ §awsIam: { role: r } }'), refuses('awsIam')],
    [
      identify('{ §oidc: {}, §clientCertificate: {} }'),
      refuses('oidc'),
      refuses('clientCertificate'),
    ],
    [identify('{ bearer: { token: { §ssm: /a } } }'), refuses('ssm')],
    [
      'principals: { §"fn-{name}": { identify: [{ bearer: { token: { env: T } } }] } }',
      refuses('fn-{name}'),
    ],
    [rule('§users: [a]'), refuses('users')],
    [rule('§databases: [a]'), refuses('databases')],
    [to('§"database:orders"'), refuses('database:')],
  ],
  credentials: [
    [
      'credentials: { §§c: {} }',
      '"for" is missing; write the one host that it is for',
      'this credential is of no kind; write one of basic, header, query, path, sigv4, oauth2, githubApp, hmac, convention',
    ],
    [
      kind('basic: { username: u, password: { env: T } }, §header: { A: { env: T } }'),
      '"basic" says already what it is; keep one of the two',
    ],
    [
      'credentials: { c: { §for: .a.example, header: { A: { env: T } } } }',
      'a secret that is shown goes to one host only; write the one host; another host has a credential of its own',
    ],
    [
      kind('header: { §Host: { env: T }, §"a b": { env: T }, X: §sesame, Y: §[sesame] }'),
      'the gateway sets "Host" itself; name another header',
      '"a b" is not a header name; write a name such as Authorization',
      'a secret does not stand here in clear; write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
      'there is no secret in this; put one in: { env: NAME }',
    ],
    [
      rule('tls: off, §intercept: true'),
      'raw bytes have no TLS that could be opened; remove one of the two',
    ],
    [
      'rules: [{ name: r, deny: ["*"], to: [a.example], §intercept: true }]',
      '"intercept" has no meaning in a deny; remove it, or make this an allow',
    ],
    [
      'intercept: { ca: { certificate: { file: §ca.crt }, key: { env: T } }, alsoTrust: { file: §x } }',
      '"ca.crt" does not exist; create it, or correct the path',
      '"x" does not exist; create it, or correct the path',
    ],
    [
      'intercept: { ca: { certificate: { file: ca.crt }, key: §sesame } }',
      'a secret does not stand here in clear; write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
    ],
    [rule('with: §c'), 'no credential is called "c"; define it under credentials'],
    [
      `${kind('header: { A: { env: T } }')}
${PRINCIPAL}sets: { s: { hosts: [a.example, b.example] } }
rules:
  - { name: r, allow: [app, §anonymous], to: [a.example, §.a.example, §s, §"*"], with: c, tls: §off }`,
      'anybody could use the credential; name the principals that it is for',
      ...Array(3).fill(
        'the credential "c" is for a.example alone; write to: [a.example], and another rule for the rest',
      ),
      'a credential goes over TLS only; remove tls: off, or the credential',
    ],
    [kind('header: §{}'), 'no header is named; name one: Authorization'],
    [kind('query: §{}'), 'no parameter is named; name one: api_key'],
    [
      kind('path: §["//x", { env: T }]'),
      'this is not a path; begin with "/": ["/bot", { env: TOKEN }, "{path}"]',
    ],
    [
      kind('path: §["/a?b", { env: T }]'),
      'a path holds no blanks, "?" or "#"; write it as it is sent, percent-encoded',
    ],
    [
      kind('header: { A: { ssm: §"a b" }, B: { vault: { path: §orders, key: k } } }'),
      '"a b" is not the name of a parameter; write /path/to/parameter',
      '"orders" is not the path of a secret; write mount/path: secret/orders',
    ],
    [
      kind('header: { A: §{ env: T, ssm: /x } }'),
      'a secret has exactly one source; write one of env, file, ssm, secretsManager, vault and literal',
    ],
    [
      kind('oauth2: { tokenUrl: §"https://u:sesame@x/", clientId: a, clientSecret: §sesame }'),
      'the URL of a service holds no user; remove what stands before the @',
      'a secret does not stand here in clear; write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
    ],
    [
      kind('hmac: { secret: { env: T }, sign: §"{foo}", header: { X: §"{sig}" } }'),
      '"{foo}" stands for nothing; known here: {method}, {host}, {path}, {query}, {body}, {bodyHash}, {timestamp}',
      '"{sig}" stands for nothing; known here: {signature}, {timestamp}',
    ],
    [
      'credentials: { c: { §convention: parameter-store } }',
      '"prefix" is missing; write the path of the parameters: prefix: /production',
    ],
    [
      kind('header: { A: { env: T } }, §prefix: /x, ttl: §0s'),
      '"prefix" has a meaning with a convention only; remove it',
      '"0s" would cut everything off at once; write more than 0',
    ],
    [
      kind('header: { A: { env: T } }, tls: { ca: { file: §none } }'),
      '"none" does not exist; create it, or correct the path',
    ],
  ],
  'values of another kind': [
    [
      'gateway: { contact: §012345678901 }',
      '"contact" must be text, and 012345678901 without quotes is a number; write "012345678901"',
    ],
    [
      'gateway: { contact: §true }',
      '"contact" must be text, and true without quotes is a boolean; write "true"',
    ],
    ['§gateway:', '"gateway" has no value; give it one, or remove the key'],
    ['§rules: {}', '"rules" must be a list, not a map; write a list'],
    [listener('from: §10.0.0.0/8'), '"from" must be a list, not text; put it in brackets: [ … ]'],
    [listener('§from:'), '"from" has no value; give it one, or remove the key'],
    [listener('from: §[]'), 'this list is empty; give it an entry, or remove the key'],
    [identify('{ §bearer: {} }'), '"token" is missing; add it'],
    ['rules: [§x]', 'an entry of "rules" must be a map, not text; write key: value pairs'],
    ['enforcement: §off', '"off" is none of its values; write enforce or report'],
    [
      rule('§report: §§yes'),
      '"report" has no meaning in an allow; remove it, or make this a deny',
      '"report" must be true or false, not text; write true or false',
      'an unquoted yes is text to some YAML readers and a boolean to others; write true or false, or "yes" in quotes where text is meant',
    ],
  ],
  'units, dates and ports': [
    [
      'gateway: { drain: { notice: §5 } }',
      '"5" is not a duration; write a number and ms, s, m, h or d: 30s',
    ],
    [
      listener('timeouts: { idle: §30d }'),
      '"30d" is longer than a timer can wait; write 24d or less',
    ],
    [
      listener('timeouts: { idle: §0s }'),
      '"0s" would cut everything off at once; write more than 0',
    ],
    [
      listener('limits: { head: §64KB }'),
      '"64KB" is not a size; write a number and B, KiB, MiB or GiB: 64KiB',
    ],
    [
      listener('limits: { head: §1B }'),
      'this is no workable limit for a request head; write 1KiB to 1MiB',
    ],
    [listener('limits: { perClient: §0 }'), 'this limit would let nothing in; write 1 or more'],
    [
      'gateway: { workers: §0 }',
      'this is not a number of workers; write auto, or a number from 1 to 256',
    ],
    ['audit: { keep: §0d }', 'this would keep no record at all; write how long to keep them: 400d'],
    [
      'audit: { checkpoint: { every: §500ms, key: { file: k } } }',
      '"500ms" is too short for checkpoints; write 1s or more: 1m',
    ],
    ['audit: { also: §[] }', 'this list is empty; give it an entry, or remove the key'],
    [rule('expires: §2027-02-30'), '"2027-02-30" is not a date; write year-month-day: 2027-03-31'],
    [
      rule('ports: [§0, §"9-8", §65536]'),
      '"0" is not a port; write one from 1 to 65535, or a range in quotes: "8000-8999"',
      '"9-8" is not a port; write one from 1 to 65535, or a range in quotes: "8000-8999"',
      '"65536" is not a port; write one from 1 to 65535, or a range in quotes: "8000-8999"',
    ],
  ],
  'addresses and networks': [
    [
      'networks: { owned: [§10.0.0.1/8] }',
      '"10.0.0.1/8" has bits set beyond its prefix; write 10.0.0.0/8 for the network, or the address alone',
    ],
    [
      'networks: { owned: [§"2001:db8:0:1::/33"] }',
      '"2001:db8:0:1::/33" has bits set beyond its prefix; write 2001:db8::/33 for the network, or the address alone',
    ],
    [
      'networks: { owned: [§10.0.0.0/33] }',
      '"10.0.0.0/33" is not an address or network; write 10.0.5.0/24 or 10.0.5.7',
    ],
    [
      'admin: { bind: §"localhost:80" }',
      '"localhost:80" is not an address and a port; write 127.0.0.1:3128 or "[::]:3128"',
    ],
    [
      'admin: { bind: §3128 }',
      '"3128" is not an address and a port; write 127.0.0.1:3128, or 0.0.0.0:3128 for every address',
    ],
    [
      'admin: { bind: §"127.0.0.1:65536" }',
      '"127.0.0.1:65536" is not an address and a port; write 127.0.0.1:3128 or "[::]:3128"',
    ],
    [
      'gateway: { resolvers: [§"dns.example:53"] }',
      '"dns.example:53" is not a resolver; write its address and port: "10.0.0.2:53"',
    ],
    [
      'gateway: { health: §127.0.0.1:9090 }',
      '"127.0.0.1:9090" is also bound by admin.bind; give each its own port',
    ],
    [
      'exits: { e: { localAddress: { env: §NOPE } } }',
      'the environment has no "NOPE"; set it to an address of this host',
    ],
    [
      'exits: { e: { localAddress: §a.example } }',
      '"a.example" is not an address; write one IP address, without port',
    ],
    ['exits: { e: §{} }', 'this exit leads nowhere; write localAddress or parentProxy'],
    [
      'exits: { e: { localAddress: §[10.0.0.1, "2001:db8::1", 10.0.0.2] } }',
      'an exit leaves from one address of each family; make an exit for each address, or write one IPv4 and one IPv6 address',
    ],
    [
      'exits: { e: { localAddress: [10.0.0.1, { env: §NOPE }] } }',
      'the environment has no "NOPE"; set it to an address of this host',
    ],
    [
      'exits: { e: §{ localAddress: 10.0.0.1, parentProxy: { url: "http://proxy.example:3128" } } }',
      'an exit cannot lead two ways; keep one of localAddress and parentProxy',
    ],
  ],
  'parent proxies and their credentials': [
    ['exits: { e: { §parentProxy: {} } }', '"url" is missing; add it'],
    [
      parent('url: §"proxy.example:3128"'),
      '"proxy.example:3128" is not the URL of a proxy; write http://proxy.example:3128',
    ],
    [
      parent('url: §"socks5://proxy.example:1080"'),
      '"socks5://proxy.example:1080" is not the URL of a proxy; write http://proxy.example:3128',
    ],
    [
      parent('url: §"http://gateway:pass@proxy.example:3128"'),
      'the URL of a proxy holds no user; put it into credentials, and name it',
    ],
    [
      parent('url: §"http://proxy.example:3128/pac"'),
      '"http://proxy.example:3128/pac" has a path; write http://proxy.example:3128',
    ],
    [
      parent('url: §"https://proxy.example/"'),
      '"https://proxy.example/" names no port; write http://proxy.example:3128',
    ],
    [
      parent('url: §"http://0x7f.1:3128"'),
      '"0x7f.1:3128" is not the place of a proxy: a numeric last label makes this an address in disguise; write http://proxy.example:3128',
    ],
    [
      parent('url: "http://proxy.example:3128", §tls: { ca: { file: ca.pem } }'),
      '"tls" has no meaning for http://; write https://, or remove it',
    ],
    [
      parent('url: "https://proxy.example:3129", tls: { ca: { file: §ca.pem } }'),
      '"ca.pem" does not exist; create it, or correct the path',
    ],
    [
      parent('url: "http://proxy.example:3128", credential: §corp'),
      'no credential is called "corp"; define it under credentials',
    ],
    [
      `${CREDENTIAL}${parent('url: "http://proxy.example:3128", credential: §mine')}`,
      'the credential "mine" is for other.example, not for proxy.example; give proxy.example a credential of its own',
    ],
    [
      parent('url: "http://proxy.example:3128", resolve: §remote'),
      '"remote" is none of its values; write local or parent',
    ],
    [
      'credentials: { c: { for: §"proxy.example:3128", basic: { username: §"a:b", password: §secret } } }',
      '"proxy.example:3128" is not a host: the host has a character that no DNS name has; write the one host that it is for, without scheme and port',
      '"a:b" is not a user name; leave out colons and control characters',
      'a secret does not stand here in clear; write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
    ],
    [
      `${rule('via: e, §addresses: [10.0.0.0/8]')}\n${parent('url: "http://proxy.example:3128", resolve: parent')}`,
      'addresses cannot be held to: the exit "e" leaves names to its parent proxy; remove it, or have the exit resolve: local',
    ],
  ],
  destinations: [
    [to('§saas'), 'no set is called "saas"; a one-label host ends in a dot: "saas."'],
    [
      `sets: { saas: { hosts: [a.example] } }\n${PRINCIPAL}rules: [{ name: r, allow: [app], to: [§sass] }]`,
      'no set is called "sass"; did you mean "saas"? Otherwise a one-label host ends in a dot: "sass."',
    ],
    [
      to('§"https://a.example/x"'),
      '"https://a.example/x" is a URL; write its host alone; paths go under paths',
    ],
    [to('§"a.example:8443"'), '"a.example:8443" names a port; write a.example, and ports: [8443]'],
    [
      to('§"a.*.example"'),
      '"a.*.example" has a * where none can stand; write .host for it and all below, or "*.host" for what is below',
    ],
    [to('§"[2001:db8::1]"'), '"[2001:db8::1]" has brackets; write an IPv6 address without them'],
    [to('§010.0.0.1'), '"010.0.0.1" is not an address or network; write 10.0.5.0/24 or 10.0.5.7'],
    [
      to('§a..example'),
      '"a..example" is not a host: the host has an empty label; write host, .host, "*.host", an address, a network or a set',
    ],
    [
      to('§"\\u001b[2J.example"'),
      '"\\u001b[2J.example" is not a host: the host has a character that no DNS name has; write host, .host, "*.host", an address, a network or a set',
    ],
    [
      'sets: { s: { hosts: [§other] } }',
      'a set cannot hold "other", which would be another set; a one-label host ends in a dot: "other."',
    ],
    ['sets: { s: { hosts: [§"*"] } }', 'a set cannot hold "*"; write "*" in the rule instead'],
    [
      'sets: { s: §{} }',
      'a set without hosts and addresses holds nothing; write hosts or addresses',
    ],
    [
      'sets: { s: { hosts: { file: §none } } }',
      '"none" does not exist; create it, or correct the path',
    ],
    [
      'sets: { s: { hosts: [a.example] } }\nlisteners: { l: { type: forward-proxy, bind: "127.0.0.1:0", from: [§s] } }',
      'the set "s" has no addresses; name a set that has some',
    ],
  ],
  'who callers are': [
    [
      identify('§{}'),
      'an entry without keys would recognise everybody; write header, basic, bearer or clientAddress',
    ],
    [
      identify('{ header: { name: §Host, value: { env: A } } }'),
      'the header "Host" cannot tell who a client is; choose a header of your own; for Proxy-Authorization write basic or bearer',
    ],
    [
      identify('{ header: { name: §"X Y", value: { env: A } } }'),
      '"X Y" is not a header name; write a name such as X-Workload',
    ],
    [
      identify('{ basic: { username: §"a:b", password: { env: A } } }'),
      '"a:b" is not a user name; leave out colons and control characters',
    ],
    [
      identify('§{ basic: { username: a, password: { env: A } }, bearer: { token: { env: B } } }'),
      'basic and bearer are read from one header, so both can never hold; make them two entries',
    ],
    [
      'principals: { app: { identify: §[] } }',
      'this list is empty; give it an entry, or remove the key',
    ],
    [
      `${PRINCIPAL}groups: { §app: [] }`,
      '"app" is also a principal, at sekisho.yaml:2:15; give one of the two another name',
    ],
    ['groups: { §anonymous: [] }', '"anonymous" is a reserved word; choose another name'],
    [
      'sets: { §a.b: { hosts: [a.example] } }',
      '"a.b" is not a name; use letters, digits, "-" and "_", and begin with a letter',
    ],
    [
      `${PRINCIPAL}groups: { g: [§ap, §"*", §"x-*"] }`,
      'no principal or group is called "ap"; define it under principals or groups',
      'a group cannot hold "*"; write "*" in the rule instead',
      '"x-*" matches no principal; correct it or remove it',
    ],
    [
      'groups: { a: [b], §b: [c], c: [b], §d: [d] }',
      'the groups hold one another: "b" > "c" > "b"; take one out of another',
      'the groups hold one another: "d" > "d"; take one out of another',
    ],
  ],
  secrets: [
    [
      identify('{ bearer: { token: §hunter2 } }'),
      'a secret does not stand here in clear; write { env: NAME }, { file: PATH } or, where it must be, { literal: TEXT }',
    ],
    [
      identify('{ bearer: { token: { literal: §31337 } } }'),
      'a literal secret must be text; put it in quotes',
    ],
    [
      identify('{ bearer: { token: §{} } }'),
      'a secret has exactly one source; write one of env, file and literal',
    ],
    [
      identify('{ bearer: { token: §{ env: A, file: b } } }'),
      'a secret has exactly one source; write one of env, file and literal',
    ],
    [
      identify('{ bearer: { token: {§literal:hunter2} } }'),
      '"{literal:…}" without a space after the colon is one key without a value; write { literal: … }',
    ],
  ],
  traces: [
    ['traces: { §zipkin: {} }', 'the key "zipkin" is unknown; known here: otlp'],
    ['traces: { §otlp: {} }', '"url" is missing; add it'],
    [collector('c:4318'), '"c:4318" is not the URL of a collector; write https://host:4318'],
    [
      collector('grpc://c:4317'),
      '"grpc://c:4317" is not the URL of a collector; write https://host:4318',
    ],
    ...['https://u:hunter2@c', 'https://c/?key=hunter2', 'https://c/#hunter2'].map(
      (url): Row => [
        collector(url),
        'the URL of a collector has a user, a query or a fragment; send keys in headers, as { env: NAME } or { file: PATH }',
      ],
    ),
    ...['1.5', '-0.1'].map(
      (ratio): Row => [
        otlp(`url: "https://c", ratio: §${ratio}`),
        'a ratio is a part of the whole; write a number from 0 to 1: 0.1',
      ],
    ),
    [header('§"a b": x'), '"a b" is not a header name; write a name such as X-Scope-OrgID'],
    [header('§Content-Type: x'), 'the exporter sets "Content-Type" itself; remove it'],
    [
      header('§Authorization: Bearer hunter2'),
      '"Authorization" looks like a secret, and a secret does not stand here in clear; write { env: NAME } or { file: PATH }',
    ],
    [
      header('§api-key: { env: K }', 'http://10.0.0.9:4318'),
      'the secret in "api-key" would cross a network in clear; write https://, or run the collector on this host',
    ],
  ],
  rules: [
    [
      `${PRINCIPAL}rules: [{ name: r, allow: [§apps, §"ap*"], to: [a.example] }]`,
      'no principal or group is called "apps"; did you mean "app"? Otherwise define it under principals or groups',
      '"ap*" is a glob, which a rule cannot hold; make a group of it and name the group',
    ],
    [
      `${PRINCIPAL}rules: [§{ name: r, to: [a.example] }]`,
      'the rule neither allows nor denies; write allow: [ … ] or deny: [ … ]',
    ],
    [
      `${PRINCIPAL}rules: [§{ name: r, allow: [app], to: [a.example], deny: [app] }]`,
      'a rule cannot both allow and deny; write allow: [ … ] or deny: [ … ]',
    ],
    [rule('§except: [app]'), '"except" has no meaning in an allow; remove it, or make this a deny'],
    [
      `${PRINCIPAL}rules: [{ name: r, deny: [app], to: [a.example], §tls: off, except: [§"*"] }]`,
      '"tls" has no meaning in a deny; remove it, or make this an allow',
      '"*" in except would make the rule void; name principals or groups',
    ],
    [
      `${PRINCIPAL}rules: [{ name: r, allow: [app], to: [a.example] }, { name: §r, deny: [app], to: [b.example] }]`,
      'the rule name "r" is also at sekisho.yaml:3:17; give each rule a name of its own',
    ],
    [rule('methods: [§get]'), '"get" is not a method; write it in capitals: GET'],
    [
      rule('paths: [§a, §"/a?b"]'),
      '"a" is not a path; begin with "/", as it is sent (percent-encoded), without query',
      '"/a?b" is not a path; begin with "/", as it is sent (percent-encoded), without query',
    ],
    [rule('via: §fixed'), 'no exit is called "fixed"; define it under exits'],
    [
      'expect: [{ principal: §app, to: §a.example, decision: allow }]',
      'no principal or group is called "app"; define it under principals or groups',
      '"a.example" names no port; write "host:port", such as "api.example.com:443"',
    ],
    [
      `${PRINCIPAL}groups: { g: [app] }\nexpect: [{ principal: §g, to: §"a:b", decision: §§no }]`,
      '"g" is a group; name one principal of it',
      '"a:b" cannot be asked for: the port must be a number from 1 to 65535; write "host:port", such as "api.example.com:443"',
      '"no" is none of its values; write allow or deny',
      'an unquoted no is text to some YAML readers and a boolean to others; write true or false, or "no" in quotes where text is meant',
    ],
  ],
};

for (const [title, rows] of Object.entries(TABLE)) {
  test(`${title} are faults with their place`, async (t) => {
    for (const [marked, ...faults] of rows) {
      await t.test(marked, () => {
        const { text, places } = takeMarks(`version: 1\n${marked}\n`);
        assert.deepEqual(
          faultsOf({ 'sekisho.yaml': text }),
          faults.map((fault, i) => `sekisho.yaml:${places[i]}: ${fault}`),
        );
        assert.equal(places.length, faults.length);
      });
    }
  });
}

/** The text without its marks, and where they stood as `line:column`. */
function takeMarks(marked: string): { text: string; places: string[] } {
  const pieces = marked.split('§');
  let before = '';
  const places = pieces.slice(0, -1).map((piece) => {
    before += piece;
    const lines = before.split('\n');
    return `${lines.length}:${(lines.at(-1) as string).length + 1}`;
  });
  return { text: pieces.join(''), places };
}

test('all faults of a file are told at once, in its order', () => {
  const found = faultsOf({
    'sekisho.yaml':
      'rules:\n  - { name: a, deny: [x], to: [] }\naudit: { kep: 1d }\nidentity: {}\n',
  });
  assert.deepEqual(found, [
    'sekisho.yaml:1:1: "version" is missing; add it',
    'sekisho.yaml:2:23: no principal or group is called "x"; define it under principals or groups',
    'sekisho.yaml:2:27: a deny of nothing denies nothing; give it an entry, or remove the rule',
    'sekisho.yaml:3:10: the key "kep" is unknown; did you mean "keep"?',
    `sekisho.yaml:4:1: ${refuses('identity')}`,
  ]);
});

test('a file that is not there, is no map, is no text or has another version is one fault', () => {
  assert.deepEqual(faultsOf({}), [
    'sekisho.yaml:1:1: "sekisho.yaml" does not exist; create it, or correct the path',
  ]);
  assert.deepEqual(faultsOf({ 'sekisho.yaml': '- a\n' }), [
    'sekisho.yaml:1:1: the file is not a map of sections; begin with version: 1',
  ]);
  assert.deepEqual(faultsOf({ 'sekisho.yaml': Uint8Array.of(0x61, 0xff) }), [
    'sekisho.yaml:1:1: "sekisho.yaml" is not UTF-8 text; save it as UTF-8',
  ]);
  assert.deepEqual(faultsOf({ 'sekisho.yaml': 'version: 2\n' }), [
    'sekisho.yaml:1:10: this is not a version that can be read; write version: 1',
  ]);
});

test('lists of hosts have their faults at their own lines', () => {
  const found = faultsOf({
    'sekisho.yaml': 'version: 1\nsets: { s: { hosts: { file: lists/saas } } }\n',
    'lists/saas': '# hosts\nok.example\n  not ok.example\nother\n10.0.0.1/8 # wide\n',
  });
  assert.deepEqual(found, [
    'lists/saas:3:3: "not ok.example" is not a host: the host has a character that no DNS name has; write host, .host, "*.host", an address, a network or a set',
    'lists/saas:4:1: a set cannot hold "other", which would be another set; a one-label host ends in a dot: "other."',
    'lists/saas:5:1: "10.0.0.1/8" has bits set beyond its prefix; write 10.0.0.0/8 for the network, or the address alone',
  ]);
});
