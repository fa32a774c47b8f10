/** What a soak found, and what of it breaks a promise. Pure. */

/** What became of every run that was acknowledged, chained, or fired by a schedule. */
export interface RunAccount {
  readonly runs: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Without an end although nothing waits or runs any more. */
  readonly lost: number;
  /** Ends beyond one for each run. */
  readonly settledTwice: number;
  /** Bodies that began: retries, and runs of processes that died, began more than once. */
  readonly executions: number;
}

export interface SlotTotals {
  readonly slots: number;
  readonly fired: number;
  readonly skipped: number;
  readonly missed: number;
  readonly undecided: number;
  readonly doubled: number;
}

export interface TriggerTotals {
  readonly requested: number;
  readonly undecided: number;
  readonly doubled: number;
}

/** How the memory and the descriptors of one process went, after its warm-up. */
export interface ProcessTrend {
  readonly name: string;
  /** How long it was watched after its warm-up. */
  readonly hours: number;
  readonly samples: number;
  readonly rssMiB: number;
  readonly rssMiBPerHour: number;
  readonly descriptors: number;
  readonly descriptorsPerHour: number;
}

export interface Findings {
  readonly runs: RunAccount;
  readonly slots: SlotTotals;
  readonly triggers: TriggerTotals;
  readonly trends: readonly ProcessTrend[];
  /** What a process did that nobody asked it to: how it ended, and its last lines. */
  readonly surprises: readonly string[];
  readonly leakedProcesses: number;
  /** Starts that met no Redis, said so and ended; others took their place. No promise is about them. */
  readonly startsGivenUp: number;
}

/** Below this a trend is the noise of a heap and says nothing. */
const JUDGED_FROM_HOURS = 0.15;
/** How far a heap breathes between two collections, seen in runs without a fault. */
const RSS_NOISE_MIB = 16;
const RSS_MIB_PER_HOUR = 1;
/** Connections and children come and go around a fault. */
const DESCRIPTOR_NOISE = 12;

/** One sentence for each promise that was broken. */
export function violations(found: Findings): readonly string[] {
  const { runs, slots, triggers } = found;
  const counted: readonly (readonly [number, string])[] = [
    [runs.lost, 'runs were lost'],
    [runs.settledTwice, 'runs were settled twice'],
    [slots.undecided, 'slots have no decision'],
    [slots.doubled, 'slots were decided twice'],
    [triggers.undecided, 'requests by hand have no decision'],
    [triggers.doubled, 'requests by hand were decided twice'],
    [found.leakedProcesses, 'processes outlived the soak'],
  ];
  const idle: readonly (readonly [number, string])[] = [
    [runs.runs, 'no run was enqueued: the soak proves nothing'],
    [slots.slots, 'no slot was due: the soak proves nothing'],
  ];
  return [
    ...counted.filter(([count]) => count !== 0).map(([count, what]) => `${count} ${what}`),
    ...idle.filter(([count]) => count === 0).map(([, what]) => what),
    ...found.surprises,
    ...found.trends.filter((trend) => trend.hours >= JUDGED_FROM_HOURS).flatMap(leaksOf),
  ];
}

function leaksOf(trend: ProcessTrend): readonly string[] {
  const grownMiB = trend.rssMiBPerHour * trend.hours;
  const grown = trend.descriptorsPerHour * trend.hours;
  const over = `over ${(trend.hours * 60).toFixed(0)} minutes`;
  return [
    ...(grownMiB > RSS_NOISE_MIB + RSS_MIB_PER_HOUR * trend.hours
      ? [`${trend.name} grew by ${grownMiB.toFixed(0)} MiB ${over}`]
      : []),
    ...(grown > DESCRIPTOR_NOISE
      ? [`${trend.name} opened ${grown.toFixed(0)} descriptors more than it closed ${over}`]
      : []),
  ];
}
