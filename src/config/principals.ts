import { z } from 'zod';
import { Fault, quote } from '../core/diagnostic.ts';
import { basic } from './basic.ts';
import type { IdentifyConfig, PrincipalConfig } from './config.ts';
import type { Merged } from './merge.ts';
import type { Names } from './names.ts';
import { networkList } from './networks.ts';
import { secretRef, toSecretRef } from './secret-ref.ts';
import { ALWAYS, line, list, named, notYet, oneOrMore, parsed, says, section } from './shape.ts';
import type { Path } from './yaml-document.ts';

// Headers that frame or route the message: HTTP itself gives them their value, or another key here reads them.
const TAKEN = new Set(
  (
    'connection content-length expect forwarded host keep-alive proxy-authenticate proxy-authorization ' +
    'proxy-connection te trailer transfer-encoding upgrade via'
  ).split(' '),
);

/** In lower case. @throws Fault */
function parseHeaderName(text: string): string {
  const name = text.toLowerCase();
  // RFC 9110 5.6.2: token.
  if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) {
    throw new Fault(`${quote(text)} is not a header name`, 'write a name such as X-Workload');
  }
  if (!TAKEN.has(name)) return name;
  throw new Fault(
    `the header ${quote(text)} cannot tell who a client is`,
    'choose a header of your own; for Proxy-Authorization write basic or bearer',
  );
}

function identifySchema(names: Names) {
  return section({
    header: section({ name: parsed(parseHeaderName), value: oneOrMore(secretRef) }).optional(),
    basic: basic.optional(),
    bearer: section({ token: secretRef }).optional(),
    clientAddress: networkList(names).optional(),
    awsIam: notYet('awsIam'),
    oidc: notYet('oidc'),
    clientCertificate: notYet('clientCertificate'),
  }).superRefine((entry, context) => {
    const error = entryFault(entry);
    if (error !== undefined) context.addIssue({ code: 'custom', message: error });
  }, ALWAYS);
}

function entryFault(entry: Readonly<Record<string, unknown>>): string | undefined {
  const present = Object.keys(entry).filter((key) => entry[key] !== undefined);
  if (present.length === 0) {
    return says(
      'an entry without keys would recognise everybody',
      'write header, basic, bearer or clientAddress',
    );
  }
  if (present.includes('basic') && present.includes('bearer')) {
    return says(
      'basic and bearer are read from one header, so both can never hold',
      'make them two entries',
    );
  }
  return undefined;
}

export function principalsSchema(names: Names) {
  const principal = section({
    owner: line.optional(),
    report: z.boolean().default(false),
    identify: list(identifySchema(names)),
  });
  return named(principal).prefault({});
}

type Written = z.output<ReturnType<typeof principalsSchema>>;
type WrittenEntry = z.output<ReturnType<typeof identifySchema>>;

export function toPrincipals(written: Written, merged: Merged): PrincipalConfig[] {
  return Object.entries(written).map(([name, { owner, report, identify }]) => {
    const path = ['principals', name];
    return {
      name,
      owner: owner ?? merged.fileOwner(path),
      report,
      identify: identify.map((entry, i) => toIdentify(entry, [...path, 'identify', i], merged)),
      at: merged.at(path, 'key'),
    };
  });
}

function toIdentify(entry: WrittenEntry, path: Path, merged: Merged): IdentifyConfig {
  const { header, basic, bearer, clientAddress } = entry;
  const secret = (written: z.output<typeof secretRef>, ...steps: Path) =>
    toSecretRef(written, merged.at([...path, ...steps]), merged.folder(path));
  return {
    ...(header && {
      header: {
        name: header.name,
        values: header.value.map((value, i) => secret(value, 'header', 'value', i)),
      },
    }),
    ...(basic && {
      basic: {
        username: basic.username,
        password: secret(basic.password, 'basic', 'password'),
      },
    }),
    ...(bearer && { bearer: { token: secret(bearer.token, 'bearer', 'token') } }),
    ...(clientAddress && { clientAddress }),
    at: merged.at(path),
  };
}
