/** Tells an operator, once, of a background read that Redis refuses for good: nobody waits for its error. */
import { toBrokerError } from './reply-errors.ts';

export class RefusalNotice {
  readonly #reading: string;
  readonly #consequence: string;
  readonly #warn: (message: string) => void;
  #isTold = false;

  /**
   * @param reading - what is read, such as `read the outcomes of queue mail`
   * @param consequence - what will be worse until it is mended
   */
  constructor(reading: string, consequence: string, warn: (message: string) => void) {
    this.#reading = reading;
    this.#consequence = consequence;
    this.#warn = warn;
  }

  /** Broken connections and servers that are not ready yet mend themselves, and are not told. */
  note(error: unknown): void {
    if (this.#isTold) return;
    const { code, message } = toBrokerError(error, this.#reading);
    if (code !== 'BROKER_REFUSED') return;
    this.#isTold = true;
    this.#warn(`${message}; ${this.#consequence}`);
  }
}
