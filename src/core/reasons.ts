/**
 * Why a decision fell as it did: one list for responses, audit, metrics, docs and console.
 *
 * `status` is what an HTTP client is answered; `after-200` reasons fall once a tunnel was already granted, so they end
 * it with a TLS alert instead. `docs/errors.md` has a section per reason; a test holds the two to each other.
 */
export const REASONS = {
  'rule-allow': { status: 200, says: 'A rule allows it.' },
  'no-identity': { status: 407, says: 'The request carries nothing that tells who sends it.' },
  'identity-invalid': { status: 407, says: 'What the request presents as identity does not hold.' },
  'identity-unavailable': { status: 503, says: 'The identity cannot be checked at the moment.' },
  'no-matching-rule': { status: 403, says: 'No rule allows this principal to go there.' },
  'rule-deny': { status: 403, says: 'A rule denies it.' },
  'policy-ambiguous': {
    status: 403,
    says: 'Two equally specific rules disagree on how to pass it.',
  },
  'address-forbidden': { status: 403, says: 'The destination has no address that may be dialled.' },
  quarantined: { status: 403, says: 'This principal is stopped for now.' },
  loop: { status: 403, says: 'The request would come back to this gateway.' },
  'host-mismatch': { status: 400, says: 'The request names two different hosts.' },
  'request-invalid': { status: 400, says: 'The request is not plainly valid HTTP.' },
  'destination-invalid': {
    status: 400,
    says: 'The destination is written in a form that is not taken.',
  },
  'sni-mismatch': {
    status: 'after-200',
    says: 'The TLS server name is not the host that was asked for.',
  },
  'protocol-mismatch': { status: 'after-200', says: 'The tunnel does not begin with TLS.' },
  'credential-missing': { status: 407, says: 'There is no credential for this destination.' },
  'credential-unavailable': { status: 502, says: 'The source of the credential does not answer.' },
  'limit-exceeded': { status: 429, says: 'A limit of this gateway is reached.' },
  'audit-unavailable': {
    status: 503,
    says: 'The decision cannot be recorded, so nothing may pass.',
  },
  draining: { status: 503, says: 'This gateway is about to stop.' },
} as const satisfies Record<string, { status: number | 'after-200'; says: string }>;

export type Reason = keyof typeof REASONS;

/** What can go wrong on the far side once a decision allowed the exchange: an outcome, never a reason. */
export const UPSTREAM_ERRORS = {
  'resolve-failed': { status: 502, says: 'The name of the destination does not resolve.' },
  'connect-failed': { status: 502, says: 'The destination does not accept the connection.' },
  'connect-timeout': { status: 504, says: 'The destination does not answer in time.' },
  'tls-failed': { status: 502, says: 'The TLS of the destination does not hold.' },
  'upstream-reset': {
    status: 502,
    says: 'The destination ended the connection or spoke no valid HTTP.',
  },
  'client-reset': { status: 499, says: 'The client ended the connection.' },
  'idle-timeout': { status: 504, says: 'Nothing moved for longer than the idle limit.' },
} as const;

export type UpstreamErrorCode = keyof typeof UPSTREAM_ERRORS;
