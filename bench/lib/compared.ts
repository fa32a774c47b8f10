/**
 * What is compared from release to release: ratios against the peers of the same run, since absolute figures drift from
 * machine to machine. The few that have no peer are sizes, which do not depend on the machine's speed.
 */
import { z } from 'zod';

export type Better = 'higher' | 'lower';

export interface Compared {
  readonly value: number;
  readonly better: Better;
}
type Comparable = Readonly<Record<string, Compared>>;

const Queue = z.object({
  ratios: z.object({
    enqueueVsBullmq: z.number(),
    enqueueVsBeeQueue: z.number(),
    processVsBullmq: z.number(),
    processVsBeeQueue: z.number(),
    processVsCeiling: z.number(),
  }),
});
const Latencies = z.object({ tidemill: z.number(), bullmq: z.number(), beeQueue: z.number() });
const Latency = z.object({
  p50Ms: Latencies,
  p99Ms: Latencies,
  idleConsumers: z.object({ '50': z.object({ claimsPerRun: z.number() }) }),
});
const Cpu = z.object({ p50Ms: z.object({ warm: z.number(), bullmq: z.number(), coldFork: z.number() }) });
const Memory = z.object({ bytesPerRun: z.number(), idleConsumerMb: z.number(), idleChildMb: z.number() });
const Ticks = z.object({ every1s: z.object({ missed: z.number(), doubled: z.number() }) });
const Start = z.object({ consumerReadyMs: z.number(), helpMs: z.number(), nodeMs: z.number() });

const higher = (value: number): Compared => ({ value, better: 'higher' });
const lower = (value: number): Compared => ({ value, better: 'lower' });

const READERS: Readonly<Record<string, (result: unknown) => Comparable>> = {
  queue: (result) => {
    const { ratios } = Queue.parse(result);
    return Object.fromEntries(Object.entries(ratios).map(([name, value]) => [name, higher(value)]));
  },
  latency: (result) => {
    const { p50Ms, p99Ms, idleConsumers } = Latency.parse(result);
    return {
      p50VsBullmq: lower(p50Ms.tidemill / p50Ms.bullmq),
      p50VsBeeQueue: lower(p50Ms.tidemill / p50Ms.beeQueue),
      p99VsBullmq: lower(p99Ms.tidemill / p99Ms.bullmq),
      claimsPerRunOf50: lower(idleConsumers['50'].claimsPerRun),
    };
  },
  ticks: (result) => {
    const { missed, doubled } = Ticks.parse(result).every1s;
    return { missed: lower(missed), doubled: lower(doubled) };
  },
  cpu: (result) => {
    const { warm, bullmq, coldFork } = Cpu.parse(result).p50Ms;
    return { warmVsBullmq: lower(warm / bullmq), warmVsColdFork: lower(warm / coldFork) };
  },
  memory: (result) => {
    const { bytesPerRun, idleConsumerMb, idleChildMb } = Memory.parse(result);
    return {
      bytesPerRun: lower(bytesPerRun),
      idleConsumerMb: lower(idleConsumerMb),
      idleChildMb: lower(idleChildMb),
    };
  },
  start: (result) => {
    const { consumerReadyMs, helpMs, nodeMs } = Start.parse(result);
    return { consumerVsNode: lower(consumerReadyMs / nodeMs), helpVsNode: lower(helpMs / nodeMs) };
  },
};
export const BENCHES: readonly string[] = Object.keys(READERS);

/** @param result - the last line of a bench, parsed */
export function comparable(bench: string, result: unknown): Comparable {
  const read = READERS[bench];
  if (read === undefined) throw new Error(`there is no bench ${bench}; there are ${BENCHES.join(', ')}`);
  const named = Object.entries(read(result)).map(([name, compared]): [string, Compared] => [
    `${bench}.${name}`,
    compared,
  ]);
  return Object.fromEntries(named);
}

/** How much worse than before, as a share of before: 0.1 is a tenth worse, below 0 is better. */
export function worseBy(before: Compared, now: Compared): number {
  if (before.value === now.value) return 0;
  if (before.value === 0) return now.better === 'lower' ? Infinity : -Infinity;
  const change = (now.value - before.value) / before.value;
  return now.better === 'lower' ? change : -change;
}
