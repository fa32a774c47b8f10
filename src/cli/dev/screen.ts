/** Lines that scroll, and on a terminal one line at the bottom that shows what is next. */
import type { Timer } from '../../runtime/clock.ts';
import { shorten } from '../format.ts';
import { type Io, styled } from '../io.ts';

const REFRESH_MS = 500;
const CLEAR_LINE = '\r\u001b[2K';

export class Screen implements Disposable {
  readonly #io: Io;
  #status: (() => string) | undefined;
  #timer: Timer | undefined;
  #shown = false;

  constructor(io: Io) {
    this.#io = io;
  }

  /** Shows this text at the bottom from now on, asked for twice a second; on terminals only. */
  watch(status: () => string): void {
    if (!this.#io.isTerminal || this.#timer !== undefined) return;
    this.#status = status;
    this.#arm();
  }

  /** Writes a whole line above the status. */
  line(text: string): void {
    this.#io.stdout.write(this.#shown ? `${CLEAR_LINE}${text}${this.#statusText()}` : text);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#shown) this.#io.stdout.write(CLEAR_LINE);
    this.#shown = false;
  }

  #arm(): void {
    this.#timer = this.#io.clock.after(REFRESH_MS, () => {
      this.#io.stdout.write(`${CLEAR_LINE}${this.#statusText()}`);
      this.#shown = true;
      this.#arm();
    });
  }

  #statusText(): string {
    // One column short of the edge: a full line would wrap and could not be cleared.
    return styled(this.#io, 'dim', shorten(this.#status?.() ?? '', ((this.#io.columns() ?? 0) || 80) - 1));
  }
}
