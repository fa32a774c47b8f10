/** What a scheduler decided, as metrics. Nothing in here throws or waits. Every series that can be known begins at 0. */
import { firstLabels, OTHER } from './labels.ts';
import type { Metrics } from './metrics.ts';

export const SLOT_OUTCOMES = ['fired', 'duplicate', 'skipped', 'missed', 'refused'] as const;
export type SlotOutcome = (typeof SLOT_OUTCOMES)[number];

const SCHEDULE_STATES = ['active', 'suspended', 'stalled', 'completed'] as const;
export type ScheduleStateName = (typeof SCHEDULE_STATES)[number];

/** One schedule as it stands. */
export interface ScheduleReading {
  readonly namespace: string;
  readonly name: string;
  readonly state: ScheduleStateName;
  readonly nextMs: number | undefined;
  readonly lastSuccessMs: number | undefined;
  readonly lastFailureMs: number | undefined;
}

/** What Redis may have lost of a schedule. */
const REGRESSIONS = ['schedule', 'watermark', 'generation'] as const;
/** The decision that a full queue takes on a slot. */
const BACKLOG = 'Backlog';

const MAX_NAMESPACES = 200;
const MAX_TASKS = 500;
const MAX_QUEUES = 100;
/** More schedules than this have no series of their own. */
const MAX_SCHEDULE_SERIES = 1_000;

export interface EngineMetricsOptions {
  readonly metrics: Metrics;
  /** The closed list of reasons, to start each at 0. */
  readonly reasons: readonly string[];
  /** All schedules as they stand, for the gauges; read at scrape. */
  readonly schedules: () => readonly ScheduleReading[];
}

export function engineMetrics({ metrics, reasons, schedules }: EngineMetricsOptions) {
  const namespaceLabel = firstLabels(MAX_NAMESPACES);
  const taskLabel = firstLabels(MAX_TASKS);
  const queueLabel = firstLabels(MAX_QUEUES);
  const fires = metrics.counter('tidemill_schedule_fires_total');
  const reasonCount = metrics.counter('tidemill_schedule_reasons_total');
  const lag = metrics.histogram('tidemill_schedule_lag_seconds');
  const enqueued = metrics.counter('tidemill_enqueued_total');
  const enqueueRefusals = metrics.counter('tidemill_enqueue_refusals_total');
  const regressions = metrics.counter('tidemill_redis_regressions_total');
  const known = new Set(reasons);

  for (const reason of [...reasons, OTHER]) reasonCount.add({ reason }, 0);
  for (const what of REGRESSIONS) regressions.add({ what }, 0);
  metrics.addCollector({
    name: 'schedules',
    families: [
      'tidemill_schedules',
      'tidemill_schedule_next_timestamp_seconds',
      'tidemill_schedule_last_success_timestamp_seconds',
      'tidemill_schedule_last_failure_timestamp_seconds',
    ],
    collect: async () => scheduleSamples(schedules(), namespaceLabel),
  });

  return {
    /** A schedule came into force: its series start at 0, so that `rate()` sees its first slot. */
    scheduleKnown(event: {
      readonly queue: string;
      readonly namespace: string;
      readonly task: string;
    }): void {
      const task = taskLabel(event.task);
      const queue = queueLabel(event.queue);
      const namespace = namespaceLabel(event.namespace);
      for (const outcome of SLOT_OUTCOMES) fires.add({ namespace, task, outcome }, 0);
      for (const source of ['schedule', 'trigger']) enqueued.add({ queue, task, source }, 0);
      enqueueRefusals.add({ queue, source: 'schedule' }, 0);
    },

    /** `count` slots were decided alike. `lagMs` (fired slots only): from the slot to the answer of the queue. */
    decided(event: {
      /** Where the run went, or would have gone. */
      readonly queue?: string;
      readonly namespace: string;
      readonly task: string;
      readonly outcome: SlotOutcome;
      readonly reason?: string | undefined;
      readonly count?: number;
      readonly lagMs?: number | undefined;
    }): void {
      const { queue, namespace, task, outcome, reason, count = 1, lagMs } = event;
      fires.add({ namespace: namespaceLabel(namespace), task: taskLabel(task), outcome }, count);
      if (reason !== undefined) reasonCount.add({ reason: known.has(reason) ? reason : OTHER }, count);
      if (queue !== undefined && outcome === 'fired') {
        enqueued.add({ queue: queueLabel(queue), task: taskLabel(task), source: 'schedule' }, count);
      }
      if (queue !== undefined && reason === BACKLOG)
        enqueueRefusals.add({ queue: queueLabel(queue), source: 'schedule' }, count);
      if (lagMs !== undefined) lag.observe({}, Math.max(0, lagMs) / 1_000);
    },

    /** A run was made by hand: no slot of the schedule was decided by it. */
    triggered(queue: string, task: string): void {
      enqueued.add({ queue: queueLabel(queue), task: taskLabel(task), source: 'trigger' });
    },

    /** Redis knows less of a schedule than it did. */
    regressed(what: (typeof REGRESSIONS)[number]): void {
      regressions.add({ what });
    },
  };
}

/** For schedulers without a cluster; a controller has `leader_election_master_status`. */
export function schedulerLeader(metrics: Metrics): (isLeader: boolean) => void {
  const leader = metrics.gauge('tidemill_scheduler_leader');
  leader.set({}, 0);
  return (isLeader) => leader.set({}, isLeader ? 1 : 0);
}

export type EngineMetrics = ReturnType<typeof engineMetrics>;

function scheduleSamples(
  schedules: readonly ScheduleReading[],
  namespaceLabel: (namespace: string) => string,
) {
  return [
    ...stateSamples(schedules, namespaceLabel),
    ...(schedules.length > MAX_SCHEDULE_SERIES ? [] : schedules.flatMap(timeSamples)),
  ];
}

function stateSamples(schedules: readonly ScheduleReading[], namespaceLabel: (namespace: string) => string) {
  const counts = new Map<string, Map<ScheduleStateName, number>>();
  for (const { namespace, state } of schedules) {
    const label = namespaceLabel(namespace);
    const states = counts.get(label) ?? new Map<ScheduleStateName, number>();
    states.set(state, (states.get(state) ?? 0) + 1);
    counts.set(label, states);
  }
  return [...counts].flatMap(([namespace, states]) =>
    SCHEDULE_STATES.map((state) => ({
      family: 'tidemill_schedules' as const,
      labels: { namespace, state },
      value: states.get(state) ?? 0,
    })),
  );
}

/** Instants that are known, in seconds since the epoch. */
function timeSamples({ namespace, name, nextMs, lastSuccessMs, lastFailureMs }: ScheduleReading) {
  const labels = { namespace, schedule: name };
  const instants = [
    ['tidemill_schedule_next_timestamp_seconds', nextMs],
    ['tidemill_schedule_last_success_timestamp_seconds', lastSuccessMs],
    ['tidemill_schedule_last_failure_timestamp_seconds', lastFailureMs],
  ] as const;
  return instants.flatMap(([family, ms]) =>
    ms === undefined ? [] : [{ family, labels, value: ms / 1_000 }],
  );
}
