/** How a caller was recognised, strongest first: the order in which several fitting principals are told apart. */
export const IDENTITY_METHODS = [
  'clientCertificate',
  'awsIam',
  'oidc',
  'session',
  'bearer',
  'basic',
  'header',
  'clientAddress',
] as const;

export type IdentityMethod = (typeof IDENTITY_METHODS)[number];

/** The authenticated caller. */
export interface Principal {
  /** The name that rules speak of; for a template (`fn-{name}`) the filled-in one (`fn-orders`). */
  readonly name: string;
  /** The template that this principal is an instance of. */
  readonly template?: string;
  readonly method: IdentityMethod;
  /** Whom a refused developer asks. */
  readonly owner?: string;
}
