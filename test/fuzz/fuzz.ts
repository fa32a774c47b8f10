/** Draws inputs for a target and keeps what must not be: a throw, a parse above 50 ms, a polluted prototype. */
import { inspect } from 'node:util';
import { RandomSource } from '../support/random.ts';
import type { FuzzTarget } from './target.ts';

/** Of CPU time, for one input. */
export const LONGEST_PARSE_MS = 50;
/** From here on the wall clock may tell of the machine more than of the parser. */
const LOOKED_AT_MS = 10;
/** A pause of the machine or of the garbage collector is not the parser's: what was slow is measured again. */
const MEASURED_AGAIN = 5;
/** Apart from its neighbours, so that one input can be had again by itself. */
const SEED_STEP = 0x9e3779b1;
/** Then it ends: they are mostly one. */
const MOST_FINDINGS = 20;

export interface Finding {
  /** For `--at`. */
  readonly at: number;
  readonly kind: 'threw' | 'slow' | 'polluted';
  readonly input: string;
  readonly detail: string;
}

export interface FuzzReport {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
  /** Inputs that the parser took. */
  readonly taken: number;
  readonly slowestMs: number;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  /** The first input, as a finding names it. Default 0. */
  readonly from?: number;
  /** Ends early when it has found so many. Default 20. */
  readonly mostFindings?: number;
}

export function inputAt(target: FuzzTarget, seed: number, at: number): string {
  return target.draw(new RandomSource(Math.imul(at, SEED_STEP) ^ seed));
}

export function fuzz(target: FuzzTarget, options: FuzzOptions): FuzzReport {
  const { seed, inputs, from = 0, mostFindings = MOST_FINDINGS } = options;
  const findings: Finding[] = [];
  let taken = 0;
  let slowestMs = 0;
  let at = from;
  for (; at < from + inputs && findings.length < mostFindings; at += 1) {
    const input = inputAt(target, seed, at);
    const found = (kind: Finding['kind'], detail: string): void =>
      void findings.push({ at, kind, input, detail });
    const startMs = performance.now();
    try {
      if (target.check(input)) taken += 1;
    } catch (error) {
      found('threw', inspect(error).slice(0, 1_000));
    }
    const tookMs = performance.now() - startMs;
    const parseMs = tookMs > LOOKED_AT_MS ? leastCpuMs(target, input) : tookMs;
    slowestMs = Math.max(slowestMs, parseMs);
    if (parseMs > LONGEST_PARSE_MS) found('slow', `${Math.round(parseMs)} ms of CPU time`);
    if (Reflect.get({}, 'polluted') !== undefined) {
      found('polluted', 'every object has the property "polluted"');
      Reflect.deleteProperty(Object.prototype, 'polluted');
    }
  }
  return { target: target.name, seed, inputs: at - from, taken, slowestMs, findings };
}

function leastCpuMs(target: FuzzTarget, input: string): number {
  let leastMs = Infinity;
  for (let time = 0; time < MEASURED_AGAIN; time += 1) {
    const before = process.cpuUsage();
    try {
      target.check(input);
    } catch {
      // told already
    }
    const { user, system } = process.cpuUsage(before);
    leastMs = Math.min(leastMs, (user + system) / 1_000);
  }
  return leastMs;
}

/** One paragraph for a person, with the command that shows a finding again. */
export function reportText({ target, seed, inputs, taken, slowestMs, findings }: FuzzReport): string {
  const summary =
    `${target}: ${inputs} inputs (seed ${seed}), ${taken} taken, ${inputs - taken} refused, ` +
    `slowest ${slowestMs.toFixed(1)} ms, ${findings.length} findings`;
  const details = findings.map(
    ({ at, kind, input, detail }) =>
      `  ${kind}: npm run fuzz -- ${target} --seed ${seed} --at ${at}\n    ${JSON.stringify(input).slice(0, 300)}\n    ${detail.replaceAll('\n', '\n    ')}`,
  );
  return [summary, ...details].join('\n');
}
