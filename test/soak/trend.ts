/** Samples of the memory and the descriptors of processes, and their slopes. */
import { readdirSync, readFileSync } from 'node:fs';
import { median } from '../../bench/lib/statistics.ts';
import type { ProcessTrend } from './verdict.ts';

export interface Sample {
  readonly atMs: number;
  readonly rssMiB: number;
  readonly descriptors: number;
}

const HOUR_MS = 3_600_000;
/** Heaps, pools and caches fill first. Of a short soak, a quarter. */
const WARM_UP_MS = 180_000;
const WARM_UP_SHARE = 0.25;
/** Slopes look at pairs of samples: at this many the figure does not change any more, and the pairs stay few. */
const MOST_POINTS = 200;

/** @returns undefined when the process is gone */
export function sampleOf(pid: number, atMs: number): Sample | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN);
    if (Number.isNaN(kib)) return undefined;
    return { atMs, rssMiB: kib / 1_024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined;
  }
}

/** The median of the slopes between all pairs (Theil-Sen): a spike while something was frozen does not tilt it. */
export function slopePerHour(points: readonly (readonly [atMs: number, value: number])[]): number {
  const step = Math.max(1, Math.ceil(points.length / MOST_POINTS));
  const few = points.filter((_, index) => index % step === 0);
  const slopes = few.flatMap(([fromMs, from], index) =>
    few
      .slice(index + 1)
      .filter(([toMs]) => toMs > fromMs)
      .map(([toMs, to]) => ((to - from) / (toMs - fromMs)) * HOUR_MS),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}

/** @returns undefined when the process was not there long enough for three samples after its warm-up */
export function trendOf(name: string, samples: readonly Sample[]): ProcessTrend | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const warmMs = first.atMs + Math.min(WARM_UP_MS, (last.atMs - first.atMs) * WARM_UP_SHARE);
  const warm = samples.filter(({ atMs }) => atMs >= warmMs);
  const [begin] = warm;
  if (begin === undefined || warm.length < 3) return undefined;
  return {
    name,
    hours: (last.atMs - begin.atMs) / HOUR_MS,
    samples: warm.length,
    rssMiB: last.rssMiB,
    rssMiBPerHour: slopePerHour(warm.map(({ atMs, rssMiB }) => [atMs, rssMiB])),
    descriptors: last.descriptors,
    descriptorsPerHour: slopePerHour(warm.map(({ atMs, descriptors }) => [atMs, descriptors])),
  };
}
