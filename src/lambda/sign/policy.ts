import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config, RemoteSecretRef } from '../../config/config.ts';
import { load } from '../../config/load.ts';
import { publishedInUse } from '../../config/published-uses.ts';
import type { Environment, Surroundings } from '../../config/surroundings.ts';
import { ConfigError, type Diagnostic, Fault, quote } from '../../core/diagnostic.ts';
import { SekishoError } from '../../core/errors.ts';
import { type InForce, putTogether } from '../../in-force.ts';
import type { Logger } from '../../log.ts';
import type { SecretStore } from '../../secret/store.ts';

/** A policy that is kept in Parameter Store is looked at again so often. */
const TTL_MS = 300_000;
const FILE = 'sekisho.yaml';
const PREFIX = 'SSM_SIGN_PROXY_PREFIX';

/** What a function decides by. */
export interface FunctionPolicy {
  /** As it is now. @throws SekishoError where there is none that holds */
  current(): Promise<InForce>;
}

export interface PolicySurroundings {
  readonly env: Environment;
  readonly store: SecretStore;
  readonly log: Logger;
  /** Where the function's own files are. */
  readonly folder: string;
}

/**
 * The policy that a function was given: in Parameter Store (`SEKISHO_POLICY_PARAMETER`), as ssm-sign-proxy's prefix
 * (`SSM_SIGN_PROXY_PREFIX`), or in a file beside its code.
 *
 * @throws SekishoError naming every fault of one that is there at start
 */
export function functionPolicy(around: PolicySurroundings): FunctionPolicy {
  const { SEKISHO_POLICY_PARAMETER: parameter, SSM_SIGN_PROXY_PREFIX: prefix } = around.env;
  if (parameter !== undefined && parameter !== '') return new StoredPolicy(parameter, around);
  const inForce =
    prefix === undefined
      ? fromFile(join(around.folder, FILE), around)
      : fromText(conventionPolicy(prefix), PREFIX, around);
  return { current: () => Promise.resolve(inForce) };
}

/** The policy that a prefix stands for. @throws ConfigError */
export function conventionConfig(prefix: string): Config {
  return loadText(conventionPolicy(prefix), PREFIX, { env: {}, folder: '' }).config;
}

/** Whoever may invoke the function may use every API that something is stored for. */
function conventionPolicy(prefix: string): string {
  const written = `/${prefix.replace(/^\/+|\/+$/g, '')}`;
  return `version: 1
principals: { invoker: { identify: [{ clientAddress: ["0.0.0.0/0", "::/0"] }] } }
rules: [{ name: parameter-store, allow: [invoker], to: ["*"], with: stored }]
credentials: { stored: { convention: parameter-store, prefix: ${JSON.stringify(written)} } }
`;
}

class StoredPolicy implements FunctionPolicy {
  readonly #name: string;
  readonly #ref: RemoteSecretRef;
  readonly #around: PolicySurroundings;
  #kept: { readonly text: string; readonly inForce: InForce } | undefined;

  constructor(name: string, around: PolicySurroundings) {
    const at = { file: 'SEKISHO_POLICY_PARAMETER', line: 1, column: 1 };
    this.#name = name;
    this.#ref = { from: 'ssm', name, multiline: true, at };
    this.#around = around;
  }

  async current(): Promise<InForce> {
    const text = (await this.#around.store.current(this.#ref, TTL_MS)).secret.reveal();
    if (this.#kept?.text === text) return this.#kept.inForce;
    try {
      this.#kept = { text, inForce: fromText(text, this.#name, this.#around) };
    } catch (error) {
      if (this.#kept === undefined || !(error instanceof SekishoError)) throw error;
      this.#around.log.error(
        { detail: error.message },
        'the new policy is refused; the one before holds on',
      );
      this.#kept = { ...this.#kept, text };
    }
    return this.#kept.inForce;
  }
}

function fromText(text: string, name: string, around: PolicySurroundings): InForce {
  return checked(loadText(text, name, around), around);
}

/** @param name what its faults are told of */
function loadText(text: string, name: string, around: Pick<PolicySurroundings, 'env' | 'folder'>) {
  const file = join(around.folder, name.replaceAll('/', '_'));
  const readFile = (path: string): Uint8Array =>
    path === file ? Buffer.from(text) : readFileSync(path);
  return load(file, { ...nameOf(around), env: around.env, readFile });
}

function fromFile(file: string, around: PolicySurroundings): InForce {
  return checked(load(file, { ...nameOf(around), env: around.env }), around);
}

/** In the record the function is its own gateway. */
function nameOf({ env }: Pick<PolicySurroundings, 'env'>): Partial<Surroundings> {
  const name = env.AWS_LAMBDA_FUNCTION_NAME;
  return name === undefined ? {} : { hostname: name };
}

function checked(loaded: ReturnType<typeof load>, { env }: PolicySurroundings): InForce {
  const faults = faultsOf(loaded.config);
  if (faults.length > 0) throw new ConfigError(faults);
  return putTogether(loaded, { env });
}

/** What a gateway takes, and a function that only signs must not. */
function faultsOf(config: Config): Diagnostic[] {
  const { rules, principals, enforcement, listeners, sets } = config;
  const faults: Diagnostic[] = [];
  const add = (at: Diagnostic['at'], message: string, remedy: string) =>
    faults.push(new Fault(message, remedy).at(at));
  for (const rule of rules) {
    if (rule.effect === 'deny') {
      if (rule.report)
        add(rule.at, 'a function reports nothing that it lets pass', 'remove report');
    } else if (rule.with === undefined) {
      add(rule.at, `the rule ${quote(rule.name)} names no credential`, 'write with: and its name');
    }
  }
  for (const { name, report, at } of principals) {
    if (report) add(at, `${quote(name)} would pass without a rule`, 'remove report');
  }
  const [listener] = listeners;
  if (listener !== undefined) add(listener.at, 'a function listens nowhere', 'remove listeners');
  for (const name of publishedInUse(config)) {
    const at = sets.get(name)?.at as Diagnostic['at'];
    add(at, `a function follows no list, as ${quote(name)} does`, 'list hosts or addresses');
  }
  const nowhere = { file: FILE, line: 1, column: 1 };
  if (enforcement === 'report') add(nowhere, 'a function enforces', 'remove enforcement: report');
  return faults;
}
