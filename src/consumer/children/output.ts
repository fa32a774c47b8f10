/** Turns what a run writes to stdout and stderr into a bounded number of bounded lines, whatever it writes. */

export type OutputStream = 'stdout' | 'stderr';

export interface OutputLine {
  readonly stream: OutputStream;
  readonly text: string;
  /** Bytes cut off the end of this line. */
  readonly cutBytes: number;
}

export interface OutputLimits {
  /** Lines kept of one run, both streams together. */
  readonly maxLines: number;
  /** Bytes kept of one run, both streams together. */
  readonly maxBytes: number;
  /** Bytes kept of one line. */
  readonly maxLineBytes: number;
}

export const DEFAULT_OUTPUT_LIMITS: OutputLimits = {
  maxLines: 1_000,
  maxBytes: 64 * 1024,
  maxLineBytes: 8 * 1024,
};

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const decoder = new TextDecoder();

/** One line that is not complete yet. Bytes, not text: a chunk may end within a character. */
interface PartialLine {
  readonly chunks: Buffer[];
  keptBytes: number;
  cutBytes: number;
}

const emptyLine = (): PartialLine => ({ chunks: [], keptBytes: 0, cutBytes: 0 });

/** The output of one run. Lines go to `emit` as they are completed; what is over a limit is only counted. */
export class RunOutput {
  readonly #emit: (line: OutputLine) => void;
  readonly #limits: OutputLimits;
  readonly #partial: Record<OutputStream, PartialLine> = { stdout: emptyLine(), stderr: emptyLine() };
  #lines = 0;
  #bytes = 0;
  #droppedBytes = 0;

  constructor(emit: (line: OutputLine) => void, limits: OutputLimits = DEFAULT_OUTPUT_LIMITS) {
    this.#emit = emit;
    this.#limits = limits;
  }

  /** Bytes that were not kept so far. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  /** Takes a chunk as it came from the pipe, cut anywhere. */
  write(stream: OutputStream, chunk: Buffer): void {
    let start = 0;
    while (start < chunk.length) {
      // Past the limit nothing is looked at any more: a flood then costs one addition per chunk.
      if (this.#exhausted) {
        this.#droppedBytes += chunk.length - start;
        return;
      }
      const newline = chunk.indexOf(NEWLINE, start);
      const end = newline < 0 ? chunk.length : newline;
      this.#append(this.#partial[stream], chunk.subarray(start, end));
      if (newline >= 0) this.#complete(stream);
      start = end + 1;
    }
  }

  /** Ends the run's output: the last lines, with no newline behind them, count too. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const { keptBytes, cutBytes } = this.#partial[stream];
      if (keptBytes + cutBytes > 0) this.#complete(stream);
    }
  }

  get #exhausted(): boolean {
    return this.#lines >= this.#limits.maxLines || this.#bytes >= this.#limits.maxBytes;
  }

  #append(line: PartialLine, bytes: Buffer): void {
    const room = Math.min(this.#limits.maxLineBytes - line.keptBytes, this.#limits.maxBytes - this.#bytes);
    const kept = bytes.subarray(0, room);
    // A copy: a view would keep the whole chunk of 64 KiB alive for a few bytes.
    if (kept.length > 0) line.chunks.push(Buffer.from(kept));
    line.keptBytes += kept.length;
    line.cutBytes += bytes.length - kept.length;
    this.#bytes += kept.length;
    this.#droppedBytes += bytes.length - kept.length;
  }

  #complete(stream: OutputStream): void {
    const line = this.#partial[stream];
    this.#partial[stream] = emptyLine();
    // An empty line costs nothing in bytes, so lines are counted apart.
    if (this.#lines >= this.#limits.maxLines) {
      this.#droppedBytes += line.keptBytes;
      return;
    }
    this.#lines += 1;
    this.#emit({
      stream,
      text: decodeLine(Buffer.concat(line.chunks), line.cutBytes > 0),
      cutBytes: line.cutBytes,
    });
  }
}

/** Bytes that are no UTF-8 become U+FFFD. A cut line ends at a whole character. */
function decodeLine(bytes: Buffer, cut: boolean): string {
  if (cut) return decoder.decode(bytes.subarray(0, wholeCharacters(bytes)));
  return decoder.decode(bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes);
}

/** Length without a character that was cut in its middle. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue; // within a character: look for its first byte
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** The last bytes of a stream, whatever its limits: how a process died is said at the end. */
export class OutputTail {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes = 16 * 1024) {
    this.#maxBytes = maxBytes;
  }

  write(chunk: Buffer): void {
    const kept = Buffer.from(chunk.subarray(Math.max(0, chunk.length - this.#maxBytes)));
    this.#chunks.push(kept);
    this.#bytes += kept.length;
    // Many small chunks are joined now and then, so that neither their number nor their sum grows.
    if (this.#bytes > 2 * this.#maxBytes || this.#chunks.length > 64) this.#join();
  }

  get text(): string {
    this.#join();
    return decoder.decode(this.#chunks[0] ?? Buffer.alloc(0));
  }

  #join(): void {
    const all = Buffer.concat(this.#chunks);
    const last = Buffer.from(all.subarray(Math.max(0, all.length - this.#maxBytes)));
    this.#chunks = [last];
    this.#bytes = last.length;
  }
}
