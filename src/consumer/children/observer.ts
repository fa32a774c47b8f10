/** What the pool tells whoever measures it. */

/** Why a child ended, as the pool sees it. */
export type ChildEnd =
  /** It had done its share of runs, was old enough, or had grown too large. */
  | 'recycled'
  /** Its run was aborted (timeout, cancellation, shutdown, lost lease), so it is not trusted with another. */
  | 'aborted'
  /** It reported that it cannot be reused (an uncaught error). */
  | 'unfit'
  /** It sent what no child of ours sends. */
  | 'protocol'
  /** It never became ready. */
  | 'start-failed'
  /** It ended by itself, with or without a run. */
  | 'died'
  /** The pool was disposed. */
  | 'disposed';

export interface PoolObserver {
  /** A child became ready this long after it was forked. */
  childStarted?(durationMs: number): void;
  childExited?(end: ChildEnd): void;
  /** Resident memory of a child, reported after a run. */
  childRss?(bytes: number): void;
  /** A run wrote more output than is kept. */
  outputTruncated?(task: string, droppedBytes: number): void;
}
