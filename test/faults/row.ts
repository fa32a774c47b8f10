/** One row of the fault matrix: what is broken on purpose, what is promised then, and how both are measured. */
import type { BuildCopy } from '../support/build-copy.ts';

export type Size = 'short' | 'long';
/** By name, in the words and units that the page shows. */
export type Figures = Readonly<Record<string, number>>;

export interface Ground {
  /** What is tested. */
  readonly build: BuildCopy;
}

/** A row that this suite injects itself. */
export interface FaultRow {
  readonly row: number;
  readonly fault: string;
  readonly injection: string;
  readonly promise: string;
  /** It mostly waits, so that others may run beside it. */
  readonly waits: boolean;
  readonly sizes: Readonly<Record<Size, Figures>>;
  readonly measure: (size: Size, ground: Ground) => Promise<Outcome>;
  /** What its figures must be; each is a sentence of the page, and can be untrue. */
  readonly judge: (figures: Figures, size: Size) => readonly string[];
}

export interface Outcome {
  readonly figures: Figures;
  /** What was promised and is not so. Empty: it holds. */
  readonly broken: readonly string[];
}

interface Definition<S extends string, F extends string> {
  readonly row: number;
  readonly fault: string;
  readonly injection: string;
  readonly promise: string;
  readonly waits?: boolean;
  readonly short: Readonly<Record<S, number>>;
  readonly long: Readonly<Record<S, number>>;
  readonly run: (sizes: Readonly<Record<S, number>>, ground: Ground) => Promise<Readonly<Record<F, number>>>;
  readonly accept: Readonly<
    Record<
      string,
      (figures: Readonly<Record<NoInfer<F>, number>>, sizes: Readonly<Record<NoInfer<S>, number>>) => boolean
    >
  >;
}

export function defineRow<S extends string, F extends string>(definition: Definition<S, F>): FaultRow {
  const { run, accept, short, long, waits = false, ...words } = definition;
  const sizesOf = (size: Size): Readonly<Record<S, number>> => (size === 'short' ? short : long);
  const judge = (figures: Readonly<Record<F, number>>, size: Size): readonly string[] =>
    Object.entries(accept)
      .filter(([, holds]) => !holds(figures, sizesOf(size)))
      .map(([sentence]) => `not so: ${sentence}`);
  return {
    ...words,
    waits,
    sizes: { short, long },
    judge,
    measure: async (size, ground) => {
      const figures = await run(sizesOf(size), ground);
      return { figures, broken: judge(figures, size) };
    },
  };
}

/** A row that other tests of this repository inject: they are named, so that they can be found and must exist. */
export interface RowElsewhere {
  readonly row: number;
  readonly fault: string;
  readonly injection: string;
  readonly promise: string;
  readonly tests: readonly { readonly file: string; readonly title: string }[];
}
