/** What a fuzzer throws at a parser, and what must hold of every answer. */
import type { RandomSource } from '../support/random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** One input, drawn from a grammar that is mostly right, and then spoilt or not. */
  readonly draw: (random: RandomSource) => string;
  /**
   * Gives the input to the parser and checks what comes back. A refusal that is coded and says why in bounded, plain text
   * is an answer; anything that it throws is a finding.
   * @returns whether the parser took the input: a fuzzer that is always refused at the door finds nothing
   */
  readonly check: (input: string) => boolean;
}
