/** What makes the programs of one ecosystem trust a CA. */
export interface Ecosystem {
  /** As it is named on the command line. */
  readonly name: string;
  /** Whose programs these are. */
  readonly title: string;
  /** Whether it takes the place of what they trusted, so that it has to hold the system's CAs, too. */
  readonly bundle: boolean;
  /** Lines for a shell, with `CA` for the certificate and `BUNDLE` for it and the system's. */
  readonly lines: readonly string[];
}

const JAVA_STORE = 'sekisho-cacerts';

/** One entry for each, in the order in which they are printed. */
export const ECOSYSTEMS: readonly Ecosystem[] = [
  {
    name: 'node',
    title: 'Node, and Lambda functions in it',
    bundle: false,
    lines: ['export NODE_EXTRA_CA_CERTS=CA'],
  },
  {
    name: 'python',
    title: 'Python: requests and pip; ssl, httpx (urllib3 by itself: its ca_certs)',
    bundle: true,
    lines: ['export REQUESTS_CA_BUNDLE=BUNDLE', 'export SSL_CERT_FILE=BUNDLE'],
  },
  {
    name: 'aws',
    title: 'AWS CLI and boto3',
    bundle: true,
    lines: ['export AWS_CA_BUNDLE=BUNDLE'],
  },
  {
    name: 'openssl',
    title: 'Go, Ruby, PHP, Rust (native-tls), and what else is built on OpenSSL',
    bundle: true,
    lines: ['export SSL_CERT_FILE=BUNDLE'],
  },
  {
    name: 'curl',
    title: 'curl and git',
    bundle: true,
    lines: ['export CURL_CA_BUNDLE=BUNDLE', 'export GIT_SSL_CAINFO=BUNDLE'],
  },
  {
    name: 'java',
    title: 'Java: a copy of its own store, so that the JDK stays as it is',
    bundle: false,
    lines: [
      `cp "\${JAVA_HOME:?is not set: the folder of the JDK}/lib/security/cacerts" ${JAVA_STORE}`,
      `keytool -importcert -noprompt -alias sekisho -file CA -keystore ${JAVA_STORE} -storepass changeit`,
      `export JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=$PWD/${JAVA_STORE}`,
    ],
  },
  {
    name: 'debian',
    title: 'The store of Debian, Ubuntu and Alpine: .NET, wget, apt, and the bundles above',
    bundle: false,
    lines: ['cp CA /usr/local/share/ca-certificates/sekisho.crt', 'update-ca-certificates'],
  },
  {
    name: 'redhat',
    title: 'The store of Amazon Linux, Fedora and RHEL',
    bundle: false,
    lines: ['cp CA /etc/pki/ca-trust/source/anchors/sekisho.pem', 'update-ca-trust'],
  },
];

/** Where the system keeps its CAs in one file, in Debian's words; RHEL has another place. */
export const SYSTEM_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
