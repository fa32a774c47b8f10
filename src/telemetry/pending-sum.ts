/** A series for hot paths: what is added stays in a plain number until the next scrape. */
export class PendingSum {
  readonly #handOn: (by: number) => void;
  #by = 0;
  /** Apart from the sum: a gauge that went up and down again between two scrapes is still to be seen, at 0. */
  #touched = false;

  constructor(handOn: (by: number) => void) {
    this.#handOn = handOn;
  }

  /** @param by - a finite number; for a counter not negative */
  add(by = 1): void {
    this.#by += by;
    this.#touched = true;
  }

  flush(): void {
    if (!this.#touched) return;
    const by = this.#by;
    this.#by = 0;
    this.#touched = false;
    this.#handOn(by);
  }
}
