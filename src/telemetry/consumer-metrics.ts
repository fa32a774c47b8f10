/**
 * What a consumer did, as metrics. Fits the observers of the consumer and of its pool of children; nothing in here
 * throws or waits. Every series that can be known at start begins at 0.
 */
import {
  EXECUTORS,
  type Executor,
  FAILURE_REASONS,
  type FailureReason,
  type RunSource,
} from '../task/run.ts';
import { firstLabels, knownLabels, OTHER } from './labels.ts';
import type { Metrics } from './metrics.ts';

const ATTEMPT_OUTCOMES = [
  'succeeded',
  'failed',
  'retry',
  'released',
  'cancelled',
  'rejected',
  'lost',
] as const;
export type AttemptOutcomeKind = (typeof ATTEMPT_OUTCOMES)[number];

const CHILD_ENDS = ['recycled', 'aborted', 'unfit', 'protocol', 'start-failed', 'died', 'disposed'] as const;
const RENEWAL_RESULTS = ['ok', 'lost', 'error'] as const;
/** With more tasks than this, only what happens gets a series of task × queue × outcome. */
const PRE_TOUCHED_TASKS = 200;
/** Distinct queues that a process may enqueue to by name before the rest counts as `other`. */
const MAX_QUEUES = 100;

export interface ConsumerMetricsOptions {
  readonly metrics: Metrics;
  /** Names in the tasks module; any other counts as `other`. */
  readonly tasks: readonly string[];
  readonly queues: readonly string[];
}

interface Started {
  readonly queue: string;
  readonly task: string;
  readonly executor: Executor;
  readonly waitMs: number;
}

interface Finished extends Started {
  readonly durationMs: number;
  readonly outcome: {
    readonly kind: AttemptOutcomeKind;
    readonly error?: { readonly reason: FailureReason };
  };
}

/** @returns the calls of `ConsumerObserver` and `PoolObserver` that are counted, and `enqueued` for whoever enqueues */
export function consumerMetrics(options: ConsumerMetricsOptions) {
  const labels: LabelLimits = { task: knownLabels(options.tasks), queue: firstLabels(MAX_QUEUES) };
  const touched = options.tasks.length > PRE_TOUCHED_TASKS ? [OTHER] : [...options.tasks, OTHER];
  return {
    ...runMetrics(options, labels, touched),
    ...processMetrics(options.metrics, labels, touched),
    ...childMetrics(options.metrics),
  };
}

interface LabelLimits {
  readonly task: (name: string) => string;
  readonly queue: (name: string) => string;
}

function runMetrics(
  { metrics, queues }: ConsumerMetricsOptions,
  labels: LabelLimits,
  touched: readonly string[],
) {
  const deadLetters = metrics.counter('tidemill_dead_letters_total');
  const recoveredRuns = metrics.counter('tidemill_recovered_runs_total');
  const expiredRuns = metrics.counter('tidemill_runs_expired_total');
  const enqueued = metrics.counter('tidemill_enqueued_total');
  const enqueueRefusals = metrics.counter('tidemill_enqueue_refusals_total');

  for (const queue of queues.map(labels.queue)) {
    recoveredRuns.add({ queue }, 0);
    expiredRuns.add({ queue }, 0);
    enqueueRefusals.add({ queue, source: 'task' }, 0);
    for (const task of touched) {
      enqueued.add({ queue, task, source: 'task' }, 0);
      deadLetters.add({ queue, task }, 0);
    }
  }

  return {
    ...attemptMetrics(metrics, labels, { queues, tasks: touched }),

    deadLettered(event: { readonly queue: string; readonly task: string }): void {
      deadLetters.add({ queue: labels.queue(event.queue), task: labels.task(event.task) });
    },

    recovered(event: { readonly queue: string; readonly returned: number }): void {
      recoveredRuns.add({ queue: labels.queue(event.queue) }, event.returned);
    },

    promoted(event: { readonly queue: string; readonly expired: number }): void {
      expiredRuns.add({ queue: labels.queue(event.queue) }, event.expired);
    },

    /** A run was put into a queue by this process. */
    enqueued(queue: string, task: string, source: RunSource): void {
      enqueued.add({ queue: labels.queue(queue), task: labels.task(task), source });
    },

    /** A full queue did not take a run of this process. */
    enqueueRefused(queue: string, source: RunSource): void {
      enqueueRefusals.add({ queue: labels.queue(queue), source });
    },
  };
}

/** Start and end of each attempt, the only calls that every run makes: their series are bound at first use. */
function attemptMetrics(
  metrics: Metrics,
  labels: LabelLimits,
  touched: { readonly queues: readonly string[]; readonly tasks: readonly string[] },
) {
  const started = metrics.counter('tidemill_runs_started_total');
  const finished = metrics.counter('tidemill_runs_finished_total');
  const failures = metrics.counter('tidemill_run_failures_total');
  const duration = metrics.histogram('tidemill_run_duration_seconds');
  const wait = metrics.histogram('tidemill_run_wait_seconds');
  const active = metrics.gauge('tidemill_runs_active');

  for (const queue of touched.queues.map(labels.queue)) {
    wait.touch({ queue });
    for (const executor of EXECUTORS) active.set({ queue, executor }, 0);
    for (const task of touched.tasks) {
      started.add({ queue, task }, 0);
      for (const outcome of ATTEMPT_OUTCOMES) finished.add({ queue, task, outcome }, 0);
    }
  }
  for (const task of touched.tasks) for (const reason of FAILURE_REASONS) failures.add({ task, reason }, 0);

  // Only limited label values come in as keys, so these maps are no larger than what is exported.
  const ofQueue = byKey((queue: string) => ({
    wait: wait.bound({ queue }),
    active: byKey((executor: Executor) => active.bound({ queue, executor })),
    ofTask: byKey((task: string) => ({
      started: started.bound({ queue, task }),
      finished: byKey((outcome: AttemptOutcomeKind) => finished.bound({ queue, task, outcome })),
    })),
  }));
  const durations = byKey((task: string) =>
    byKey((executor: Executor) => duration.bound({ task, executor })),
  );

  return {
    runStarted(event: Started): void {
      const series = ofQueue(labels.queue(event.queue));
      series.ofTask(labels.task(event.task)).started.add();
      series.wait.observe(Math.max(0, event.waitMs) / 1_000);
      series.active(event.executor).add(1);
    },

    runFinished(event: Finished): void {
      const series = ofQueue(labels.queue(event.queue));
      const task = labels.task(event.task);
      series.ofTask(task).finished(event.outcome.kind).add();
      durations(task)(event.executor).observe(Math.max(0, event.durationMs) / 1_000);
      series.active(event.executor).add(-1);
      if (event.outcome.error !== undefined) failures.add({ task, reason: event.outcome.error.reason });
    },
  };
}

/** Makes the value of a key at its first use, and keeps it. */
function byKey<K extends string, V>(make: (key: K) => V): (key: K) => V {
  const values = new Map<K, V>();
  return (key) => {
    const known = values.get(key);
    if (known !== undefined) return known;
    const made = make(key);
    values.set(key, made);
    return made;
  };
}

/** What concerns the process, and not one run. */
function processMetrics(metrics: Metrics, labels: LabelLimits, touched: readonly string[]) {
  const limit = metrics.gauge('tidemill_concurrency_limit');
  const leaked = metrics.gauge('tidemill_leaked_slots');
  const blocked = metrics.counter('tidemill_loop_blocked_seconds_total');
  const renewals = metrics.counter('tidemill_lease_renewals_total');
  for (const result of RENEWAL_RESULTS) renewals.add({ result }, 0);
  for (const task of touched) blocked.add({ task }, 0);
  leaked.set({}, 0);
  const limits = new Map<Executor, number>();
  return {
    leaseRenewal(result: 'ok' | 'lost' | 'error'): void {
      renewals.add({ result });
    },
    loopBlocked(event: { readonly task: string | undefined; readonly lagMs: number }): void {
      blocked.add({ task: labels.task(event.task ?? OTHER) }, Math.max(0, event.lagMs) / 1_000);
    },
    slotLeaked(event: { readonly leaked: number }): void {
      leaked.set({}, event.leaked);
    },
    slotReturned(event: { readonly leaked: number }): void {
      leaked.set({}, event.leaked);
    },
    slots(event: { readonly executor: Executor; readonly total: number }): void {
      // Told at every run, and the same from start to end.
      if (limits.get(event.executor) === event.total) return;
      limits.set(event.executor, event.total);
      limit.set({ executor: event.executor }, event.total);
    },
  };
}

export type ConsumerMetrics = ReturnType<typeof consumerMetrics>;

/** Children report through their parent: they have no port of their own. */
function childMetrics(metrics: Metrics) {
  const exits = metrics.counter('tidemill_child_exits_total');
  const start = metrics.histogram('tidemill_child_start_seconds');
  const rss = metrics.gauge('tidemill_child_rss_bytes');
  for (const reason of CHILD_ENDS) exits.add({ reason }, 0);
  rss.set({}, 0);
  return {
    childStarted(durationMs: number): void {
      start.observe({}, durationMs / 1_000);
    },
    childExited(end: (typeof CHILD_ENDS)[number]): void {
      exits.add({ reason: end });
    },
    childRss(bytes: number): void {
      rss.set({}, bytes);
    },
  };
}
