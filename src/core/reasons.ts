/**
 * Why a decision fell as it did: one list for responses, audit, metrics, docs and console.
 *
 * `status` is what an HTTP client is answered; `after-200` reasons fall once a tunnel was already granted, so they end
 * it with a TLS alert instead. `says` and `todo` are for whoever is refused. `docs/errors.md` has a section per reason;
 * a test holds the two to each other.
 */
export const REASONS = {
  'rule-allow': { status: 200, says: 'A rule allows it.', todo: 'Nothing.' },
  'no-identity': {
    status: 407,
    says: 'The request carries nothing that tells who sends it.',
    todo: 'Send the identity header or the proxy credentials of your principal.',
  },
  'identity-invalid': {
    status: 407,
    says: 'What the request presents as identity does not hold.',
    todo: 'Compare the header, password or token with the one that was handed out, and where you call from.',
  },
  'identity-unavailable': {
    status: 503,
    says: 'The identity cannot be checked at the moment.',
    todo: 'Try again; the gateway recovers by itself.',
  },
  'list-outdated': {
    status: 503,
    says: 'The published list of addresses that it would pass by is too old.',
    todo: 'Tell the contact: the gateway does not reach the publisher of the list. It recovers by itself.',
  },
  'no-matching-rule': {
    status: 403,
    says: 'No rule allows this principal to go there.',
    todo: 'Ask the contact for a rule; `sekisho why` with the exchange id shows the lines it takes.',
  },
  'rule-deny': {
    status: 403,
    says: 'A rule denies it.',
    todo: 'Ask the contact whether the rule is meant for this case.',
  },
  'policy-ambiguous': {
    status: 403,
    says: 'Two equally specific rules disagree on how to pass it.',
    todo: 'Tell the contact: `sekisho check` names the two rules.',
  },
  'address-forbidden': {
    status: 403,
    says: 'The destination has no address that may be dialled.',
    todo: 'If the destination is inside your network, ask the contact to name its `addresses` in the rule.',
  },
  quarantined: {
    status: 403,
    says: 'This principal is stopped for now.',
    todo: 'Ask the contact.',
  },
  loop: {
    status: 403,
    says: 'The request would come back to this gateway.',
    todo: 'Ask for the destination itself, not for the gateway.',
  },
  'host-mismatch': {
    status: 400,
    says: 'The request names two different hosts.',
    todo: 'Send a Host header that is the host of the request target.',
  },
  'request-invalid': {
    status: 400,
    says: 'The request is not plainly valid HTTP.',
    todo: 'Correct what is named here; the gateway repairs nothing.',
  },
  'destination-invalid': {
    status: 400,
    says: 'The destination is written in a form that is not taken.',
    todo: 'Write a host name, a dotted IPv4 address, or an IPv6 address in brackets.',
  },
  'sni-mismatch': {
    status: 'after-200',
    says: 'The TLS server name is not the host that was asked for.',
    todo: 'Ask the gateway for the host that the TLS client names.',
  },
  'protocol-mismatch': {
    status: 'after-200',
    says: 'The tunnel does not begin with TLS.',
    todo: 'Use TLS, or ask the contact for a rule with `tls: off`.',
  },
  'credential-missing': {
    status: 407,
    says: 'There is no credential for this destination.',
    todo: 'Ask the contact to store one.',
  },
  'credential-unavailable': {
    status: 502,
    says: 'The source of the credential does not answer.',
    todo: 'Try again; the gateway recovers by itself.',
  },
  'limit-exceeded': {
    status: 429,
    says: 'A limit of this gateway is reached.',
    todo: 'Open fewer connections at a time, and try again.',
  },
  'audit-unavailable': {
    status: 503,
    says: 'The decision cannot be recorded, so nothing may pass.',
    todo: 'Try again; the operator sees it in the log and metrics of the gateway.',
  },
  draining: {
    status: 503,
    says: 'This gateway is about to stop.',
    todo: 'Try again: another gateway takes the next connection.',
  },
} as const satisfies Record<string, { status: number | 'after-200'; says: string; todo: string }>;

export type Reason = keyof typeof REASONS;

/** What can go wrong once a decision allowed the exchange: an outcome, never a reason. */
export const TROUBLES = {
  'resolve-failed': { status: 502, says: 'The name of the destination does not resolve.' },
  'connect-failed': { status: 502, says: 'The destination does not accept the connection.' },
  'connect-timeout': {
    status: 504,
    says: 'The destination does not accept the connection in time.',
  },
  'tls-failed': { status: 502, says: 'The TLS of the destination does not hold.' },
  'upstream-reset': {
    status: 502,
    says: 'The destination broke the connection or sent no plainly valid HTTP.',
  },
  'client-tls-failed': {
    status: 499,
    says: 'The client did not go on with the TLS of this gateway.',
  },
  'client-reset': { status: 499, says: 'The client broke the connection.' },
  'idle-timeout': { status: 504, says: 'Nothing moved for longer than the idle limit.' },
  'response-too-large': {
    status: 502,
    says: 'The response is larger than a function may answer.',
  },
  'policy-unavailable': {
    status: 503,
    says: 'The policy of this function cannot be had, so that nothing passes.',
  },
  'gateway-fault': { status: 500, says: 'The gateway itself failed; its log has the fault.' },
} as const satisfies Record<string, { status: number; says: string }>;

export type Trouble = keyof typeof TROUBLES;
