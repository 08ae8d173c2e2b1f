/** Counts what is under way, so that a stop can wait for the last of it. */
export class Ongoing {
  #count = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  run(exchange: Promise<void>): Promise<void> {
    this.#count++;
    exchange.then(this.#end, this.#end);
    return exchange;
  }

  readonly #end = (): void => {
    this.#count--;
    if (this.#count === 0) this.#idle?.resolve();
  };

  ended(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers();
    return this.#idle.promise;
  }
}
