/** Why a connection was closed before any request of it could be recorded. Counted, not audited. */
export type Rejection =
  | 'peer-not-allowed'
  | 'too-many-connections'
  | 'too-many-from-client'
  | 'proxy-header-invalid'
  | 'tls-handshake-failed'
  | 'closed-before-a-byte'
  | 'closed-within-a-head'
  | 'silent'
  | 'accept-failed';
