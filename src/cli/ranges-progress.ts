import { printable } from '../audit/printable.ts';
import type { Output } from './output.ts';

const SHOW_EVERY_MS = 2_000;

/** One line that says how far something is: written over on a terminal, now and then elsewhere. */
export class ProgressLine {
  readonly #output: Output;
  #shownMs = Date.now();
  #open = false;

  constructor(output: Output) {
    this.#output = output;
  }

  show(text: string): void {
    if (this.#output.isTTY === true) {
      this.#output.write(`\r\u001b[K${printable(text)}`);
      this.#open = true;
      return;
    }
    const now = Date.now();
    if (now - this.#shownMs < SHOW_EVERY_MS) return;
    this.#shownMs = now;
    this.#output.write(`${printable(text)}\n`);
  }

  /** Makes place for what comes. */
  end(): void {
    if (this.#open) this.#output.write('\r\u001b[K');
    this.#open = false;
  }
}
