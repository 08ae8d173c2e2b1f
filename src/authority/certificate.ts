import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { Hostname } from '../core/hostname.ts';
import { Ip } from '../core/ip.ts';

/** Both in milliseconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** `ecdsa-with-SHA256` (RFC 5758 3.2). */
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';

/** A certificate that an authority signs itself, in PEM. @param key of its own, P-256 */
export function authorityCertificate(
  name: string,
  publicKey: KeyObject,
  key: KeyObject,
  span: Span,
): string {
  const own = nameOf(name);
  const extensions = [
    critical(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
    critical(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign)),
    plain(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
  ];
  return signed({ issuer: own, subject: own, publicKey, span, extensions }, key);
}

/**
 * A certificate for one host and nothing else, in PEM. The subject is empty: the name stands where RFC 6125 6.4.4 has it
 * looked for.
 *
 * @param issuer the authority's certificate, in DER
 */
export function leafCertificate(
  host: Hostname | Ip,
  publicKey: KeyObject,
  issuer: Buffer,
  key: KeyObject,
  span: Span,
): string {
  const { tbsCertificate } = AsnConvert.parse(issuer, Certificate);
  const name = host instanceof Ip ? { iPAddress: host.text } : { dNSName: host.name };
  const extensions = [
    critical(id_ce_subjectAltName, new SubjectAlternativeName([new GeneralName(name)])),
    critical(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature)),
    plain(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    // RFC 5280 4.2.1.1, which strict verifiers insist on.
    plain(id_ce_authorityKeyIdentifier, authorityKeyIdentifier(tbsCertificate)),
  ];
  return signed(
    { issuer: tbsCertificate.subject, subject: new Name(), publicKey, span, extensions },
    key,
  );
}

interface Unsigned {
  readonly issuer: Name;
  readonly subject: Name;
  readonly publicKey: KeyObject;
  readonly span: Span;
  readonly extensions: readonly Extension[];
}

function signed(
  { issuer, subject, publicKey, span, extensions }: Unsigned,
  key: KeyObject,
): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer,
    subject,
    validity: new Validity({ notBefore: new Date(span.from), notAfter: new Date(span.to) }),
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions([...extensions]),
  });
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), key);
  const signatureValue = new Uint8Array(signature).buffer;
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue,
  });
  return pemOf(Buffer.from(AsnConvert.serialize(certificate)));
}

/** RFC 5280 4.1.2.2: positive, and unlike all others. */
function serialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes.buffer;
}

function nameOf(text: string): Name {
  const value = new AttributeValue({ utf8String: text });
  const commonName = new AttributeTypeAndValue({ type: COMMON_NAME, value });
  return new Name([new RelativeDistinguishedName([commonName])]);
}

/** Whoever does not understand it shall not take the certificate. */
function critical(extnID: string, value: object): Extension {
  return Object.assign(plain(extnID, value), { critical: true });
}

function plain(extnID: string, value: object): Extension {
  return new Extension({ extnID, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** RFC 7093 2, method 1. */
function keyIdentifier(publicKey: KeyObject): OctetString {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const { subjectPublicKey } = AsnConvert.parse(spki, SubjectPublicKeyInfo);
  const digest = createHash('sha256').update(new Uint8Array(subjectPublicKey)).digest();
  return new OctetString(new Uint8Array(digest.subarray(0, 20)));
}

function authorityKeyIdentifier({ extensions, subjectPublicKeyInfo }: TBSCertificate) {
  const own = extensions?.find(({ extnID }) => extnID === id_ce_subjectKeyIdentifier);
  const spki = Buffer.from(AsnConvert.serialize(subjectPublicKeyInfo));
  const identifier =
    own === undefined
      ? keyIdentifier(createPublicKey({ key: spki, type: 'spki', format: 'der' }))
      : AsnConvert.parse(own.extnValue, SubjectKeyIdentifier);
  return new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(identifier) });
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
