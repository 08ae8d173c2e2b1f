import type { CredentialConfig, SecretRef } from '../config/config.ts';
import { DEFAULT_PORTS, type Destination, destinationText, hostText } from '../core/destination.ts';
import type { GrantedCredential, Injected, InjectedRequest } from '../core/injection.ts';
import { Refusal } from '../core/refusal.ts';
import type { Secret } from '../core/secret.ts';
import { type FailureKind, SecretFailure } from '../secret/failure.ts';
import { hmacNeedsBody } from './kinds/hmac.ts';
import { sigv4NeedsBody } from './kinds/sigv4.ts';
import { type CredentialSources, prepare } from './prepare.ts';
import { isFor } from './receiver.ts';
import { Redactors } from './redactors.ts';

/** One use of a credential, as it is told to the record. */
export interface CredentialUse {
  readonly name: string;
  readonly version: string | undefined;
}

/** How a rule's credential gets onto an exchange's request. */
export interface CredentialTerms {
  readonly destination: Destination;
  /** What was read at start, of the configuration in force. */
  held(ref: SecretRef): Secret;
  used(use: CredentialUse): void;
}

export interface CredentialSurroundings extends Omit<CredentialSources, 'held'> {
  /** Tells of what was read and cannot be made use of; what cannot be read is told where that was tried. */
  unusable(credential: string, failure: SecretFailure): void;
}

/** All credentials of a gateway: what they have in common is where their secrets come from. */
export class Credentials {
  readonly #sources: CredentialSurroundings;
  readonly #redactors = new Redactors();

  constructor(sources: CredentialSurroundings) {
    this.#sources = sources;
  }

  /** @throws TypeError for a destination that it is not for: the configuration was checked for that */
  grant(config: CredentialConfig, terms: CredentialTerms): GrantedCredential {
    const { destination } = terms;
    const { host } = destination;
    if (destination.scheme !== 'https' || (config.for !== undefined && !isFor(config.for, host))) {
      throw new TypeError(
        `the credential ${config.name} is not for ${destinationText(destination)}`,
      );
    }
    return {
      name: config.name,
      bodyLimit: bodyLimitOf(config),
      strict: config.redact === 'strict',
      ca: config.ca,
      inject: (request) => this.#inject(config, terms, request),
    };
  }

  async #inject(
    config: CredentialConfig,
    { destination, held, used }: CredentialTerms,
    request: InjectedRequest,
  ): Promise<Injected> {
    try {
      const authority = authorityOf(destination);
      const prepared = await prepare(config, authority, { ...this.#sources, held });
      const changes = await prepared.changes(request, this.#sources.now());
      used({ name: config.name, version: prepared.version });
      const redaction = this.#redactors.for(`${config.name} ${authority}`, prepared.secrets);
      return { changes, redaction, refuse: () => prepared.refuse() };
    } catch (error) {
      if (!(error instanceof SecretFailure)) throw error;
      if (error.code === 'invalid') this.#sources.unusable(config.name, error);
      throw refusalOf(error.code);
    }
  }
}

function bodyLimitOf({ kind }: CredentialConfig): number {
  if (kind.kind === 'sigv4') return sigv4NeedsBody(kind) ? kind.maxBodyBytes : 0;
  return kind.kind === 'hmac' && hmacNeedsBody(kind) ? kind.maxBodyBytes : 0;
}

/** As it stands in Host. */
function authorityOf(destination: Destination): string {
  return destination.port === DEFAULT_PORTS.https
    ? hostText(destination.host)
    : destinationText(destination);
}

/** Told to whoever asked: nothing of what the source says, which is in the log. */
const TOLD: Readonly<Record<Exclude<FailureKind, 'missing'>, string>> = {
  denied: 'The source of the secret denies it to this gateway.',
  throttled: 'The source of the secret is asked too often.',
  slow: 'The source of the secret does not answer in time.',
  unavailable: 'The source of the secret is out of reach.',
  invalid: 'What is stored cannot be sent as a credential.',
};

function refusalOf(code: FailureKind): Refusal {
  if (code === 'missing') {
    return new Refusal('credential-missing', 'Nothing is stored for this destination.');
  }
  return new Refusal('credential-unavailable', TOLD[code]);
}
