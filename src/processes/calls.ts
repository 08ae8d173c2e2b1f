import type { ChildProcess, SendHandle } from 'node:child_process';
import { SekishoError } from '../core/errors.ts';

/** One end of the channel between two processes. */
export interface Channel {
  readonly connected: boolean;
  readonly send?: ChildProcess['send'];
  on(
    event: 'message',
    listener: (message: Message, handle: SendHandle | undefined) => void,
  ): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

/** What one side offers the other: each takes one argument that can be cloned, and perhaps a socket. */
export type Offer<Calls> = {
  readonly [Name in keyof Calls]: (
    argument: ArgumentOf<Calls, Name>,
    handle: SendHandle | undefined,
  ) => ResultOf<Calls, Name> | Promise<ResultOf<Calls, Name>>;
};

export type ArgumentOf<Calls, Name extends keyof Calls> = Calls[Name] extends (
  argument: infer Argument,
) => unknown
  ? Argument
  : never;
export type ResultOf<Calls, Name extends keyof Calls> = Calls[Name] extends (
  argument: never,
) => infer Result
  ? Result
  : never;

/** A result that a socket goes along with. */
export class Handed<Value> {
  readonly value: Value;
  readonly handle: SendHandle;

  constructor(value: Value, handle: SendHandle) {
    this.value = value;
    this.handle = handle;
  }
}

type Message =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly name: string;
      readonly argument: unknown;
    }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'fault'; readonly id: number; readonly code: string; readonly text: string };

type Answer = (argument: unknown, handle: SendHandle | undefined) => unknown;

interface Pending {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** Calls between two processes, in both directions, over the channel that `fork` gives them. */
export class Calls<Theirs, Ours> {
  readonly #channel: Channel;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #ended = false;

  constructor(channel: Channel, offer: Offer<Ours>) {
    this.#channel = channel;
    channel.on('message', (message: Message, handle: SendHandle | undefined) => {
      if (message.kind === 'call') void this.#answer(message, handle, offer);
      else this.#settle(message, handle);
    });
    channel.on('disconnect', () => this.end());
  }

  /** The other side is gone: nothing that waits is answered any more. */
  end(): void {
    this.#ended = true;
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(gone());
    }
    this.#pending.clear();
  }

  /**
   * @param limitMs undefined: as long as it takes
   * @throws SekishoError what the other side threw, `process-silent` after the limit, `process-gone`
   */
  call<Name extends keyof Theirs & string>(
    name: Name,
    argument: ArgumentOf<Theirs, Name>,
    limitMs: number | undefined,
    handle?: SendHandle,
  ): Promise<ResultOf<Theirs, Name>> {
    if (this.#ended) return Promise.reject(gone());
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = limitMs === undefined ? undefined : setTimeout(() => silent(), limitMs);
      const silent = () => {
        this.#pending.delete(id);
        reject(new SekishoError('process-silent', `a process did not answer ${name} in time`));
      };
      this.#pending.set(id, { resolve: resolve as (value: never) => void, reject, timer });
      this.#send({ kind: 'call', id, name, argument }, handle);
    });
  }

  async #answer(
    { id, name, argument }: Extract<Message, { kind: 'call' }>,
    handle: SendHandle | undefined,
    offer: Offer<Ours>,
  ): Promise<void> {
    try {
      const answer = (offer as Readonly<Record<string, Answer | undefined>>)[name];
      if (answer === undefined) throw new TypeError(`there is no call ${name}`);
      const value = await answer(argument, handle);
      if (value instanceof Handed) {
        this.#send({ kind: 'result', id, value: value.value }, value.handle);
      } else this.#send({ kind: 'result', id, value });
    } catch (error) {
      const { code = 'process-fault', stack, message } = error as NodeJS.ErrnoException;
      const text = error instanceof SekishoError ? message : (stack ?? message);
      this.#send({ kind: 'fault', id, code, text });
    }
  }

  #settle(message: Exclude<Message, { kind: 'call' }>, handle: SendHandle | undefined): void {
    const pending = this.#pending.get(message.id);
    // Its caller has waited long enough.
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    clearTimeout(pending.timer);
    if (message.kind === 'fault') pending.reject(new SekishoError(message.code, message.text));
    else {
      const value = handle === undefined ? message.value : new Handed(message.value, handle);
      pending.resolve(value as never);
    }
  }

  #send(message: Message, handle?: SendHandle): void {
    // What cannot be sent meets a channel that is closed or about to be: `disconnect` ends all that wait.
    if (this.#channel.connected) this.#channel.send?.(message, handle, {}, () => undefined);
    else if (message.kind === 'call') {
      const pending = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      clearTimeout(pending?.timer);
      pending?.reject(gone());
    }
  }
}

function gone(): SekishoError {
  return new SekishoError('process-gone', 'the process at the other end is gone');
}
