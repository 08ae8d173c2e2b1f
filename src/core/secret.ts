import { inspect } from 'node:util';

/**
 * A secret that knows its own safe form: whatever prints it by accident prints its name.
 *
 * Only `reveal` gives the value; every call of it is a place to read with care.
 */
export class Secret {
  readonly name: string;
  readonly #value: string;

  /** @param name where it comes from, as a person would look for it: `env ATHENA_HEADER`, `file legacy.pw` */
  constructor(name: string, value: string) {
    this.name = name;
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  toString(): string {
    return `[secret ${this.name}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
