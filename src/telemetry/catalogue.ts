/** Every metric that Tidemill exports, as data: the registry and `docs/reference/metrics.md` are made from it, tests compare it with what is served. */

import { CONTROLLER_METRICS } from './controller-catalogue.ts';
import type { MetricDefinition, MetricType } from './metric-definition.ts';

/** From "before anyone notices" to "five minutes late". */
const LATENESS_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300] as const;

export const CATALOGUE = {
  tidemill_build_info: {
    type: 'gauge',
    labels: ['version', 'commit', 'node_version', 'tz_version'],
    help: 'Always 1; the labels say which build runs, and which time-zone rules it knows',
    who: 'all',
  },
  tidemill_collector_up: {
    type: 'gauge',
    labels: ['collector'],
    help: 'Whether the last collection at a scrape worked (1) or failed or timed out (0); its families are absent then',
    who: 'all',
  },
  tidemill_redis_up: {
    type: 'gauge',
    labels: [],
    help: 'Whether the last call to Redis was answered',
    who: 'all',
  },
  tidemill_redis_reconnects_total: {
    type: 'counter',
    labels: [],
    help: 'How often Redis answered again after it had not',
    who: 'all',
  },
  tidemill_redis_command_duration_seconds: {
    type: 'histogram',
    labels: ['operation'],
    help: 'Time from a call to the answer of Redis, by operation of the queue',
    who: 'all',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1],
  },
  tidemill_redis_refusals_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Calls or slots that Redis refused with an error: reason = memory (it is full), disk (it cannot save), rights (its user may not), other',
    who: 'all',
  },
  tidemill_uncaught_errors_total: {
    type: 'counter',
    labels: ['kind'],
    help: 'Exceptions and rejections that nobody caught, mostly late ones of tasks: kind = exception, rejection',
    who: 'all',
  },

  tidemill_queue_depth: {
    type: 'gauge',
    labels: ['queue', 'state'],
    help: 'Runs in a queue, read from Redis at scrape: state = pending, delayed, running, succeeded, failed (the last two: retained)',
    who: 'leader',
  },
  tidemill_queue_oldest_age_seconds: {
    type: 'gauge',
    labels: ['queue'],
    help: 'How long the oldest ready run has waited; 0 when none waits',
    who: 'leader',
  },
  tidemill_queue_paused: {
    type: 'gauge',
    labels: ['queue'],
    help: 'Whether the queue is paused',
    who: 'leader',
  },
  tidemill_queue_retained_bytes: {
    type: 'gauge',
    labels: ['queue'],
    help: 'Bytes of ended runs that are kept',
    who: 'leader',
  },
  tidemill_queue_max_pending: {
    type: 'gauge',
    labels: ['queue'],
    help: 'Most pending and delayed runs that the queue takes; more are refused',
    who: 'leader',
  },
  tidemill_consumers: {
    type: 'gauge',
    labels: ['queue'],
    help: 'Consumers with a live lease',
    who: 'leader',
  },

  tidemill_redis_memory_used_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Memory that Redis uses; in a cluster, of the master with the least room. Absent when its user may not read INFO',
    who: 'leader',
  },
  tidemill_redis_memory_max_bytes: {
    type: 'gauge',
    labels: [],
    help: 'The maxmemory of Redis, beyond which it refuses new work; 0: no limit is set',
    who: 'leader',
  },

  tidemill_enqueued_total: {
    type: 'counter',
    labels: ['queue', 'task', 'source'],
    help: 'Runs that this process put into a queue: source = schedule, trigger, api, cli, task',
    who: 'all',
  },
  tidemill_enqueue_refusals_total: {
    type: 'counter',
    labels: ['queue', 'source'],
    help: 'Runs of this process that a full queue refused, by source as above; what applications enqueue is not counted',
    who: 'all',
  },
  tidemill_runs_started_total: {
    type: 'counter',
    labels: ['queue', 'task'],
    help: 'Attempts begun',
    who: 'consumer',
  },
  tidemill_runs_finished_total: {
    type: 'counter',
    labels: ['queue', 'task', 'outcome'],
    help: 'Attempts ended: outcome = succeeded, failed, retry, released, cancelled, rejected, lost',
    who: 'consumer',
  },
  tidemill_run_failures_total: {
    type: 'counter',
    labels: ['task', 'reason'],
    help: 'Failed attempts by reason, those that are tried again included',
    who: 'consumer',
  },
  tidemill_run_duration_seconds: {
    type: 'histogram',
    labels: ['task', 'executor'],
    help: 'Duration of attempts: executor = io, cpu',
    who: 'consumer',
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600],
  },
  tidemill_run_wait_seconds: {
    type: 'histogram',
    labels: ['queue'],
    help: 'Time from being due to being started',
    who: 'consumer',
    buckets: LATENESS_BUCKETS,
  },
  tidemill_runs_active: {
    type: 'gauge',
    labels: ['queue', 'executor'],
    help: 'Runs that this consumer executes now',
    who: 'consumer',
  },
  tidemill_concurrency_limit: {
    type: 'gauge',
    labels: ['executor'],
    help: 'Runs that this consumer executes at most',
    who: 'consumer',
  },
  tidemill_leaked_slots: {
    type: 'gauge',
    labels: [],
    help: 'IO slots held by runs that ignored their deadline and have not returned yet',
    who: 'consumer',
  },
  tidemill_loop_blocked_seconds_total: {
    type: 'counter',
    labels: ['task'],
    help: 'Time for which a task blocked the event loop; such a task wants cpuBound: true',
    who: 'consumer',
  },
  tidemill_lease_renewals_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Renewals of the lease: result = ok, lost, error',
    who: 'consumer',
  },
  tidemill_recovered_runs_total: {
    type: 'counter',
    labels: ['queue'],
    help: 'Runs of dead consumers that this one gave back to the queue',
    who: 'consumer',
  },
  tidemill_runs_expired_total: {
    type: 'counter',
    labels: ['queue'],
    help: 'Runs that ended because nobody claimed them before their deadline',
    who: 'consumer',
  },
  tidemill_dead_letters_total: {
    type: 'counter',
    labels: ['queue', 'task'],
    help: 'Runs that ended as failed for good',
    who: 'consumer',
  },
  tidemill_child_exits_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Ends of child processes: reason = recycled, aborted, unfit, protocol, start-failed, died, disposed',
    who: 'consumer',
  },
  tidemill_child_start_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Time from the fork of a child process to its being ready',
    who: 'consumer',
    buckets: [0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  },
  tidemill_child_rss_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Resident memory of the largest child process',
    who: 'consumer',
  },

  tidemill_schedules: {
    type: 'gauge',
    labels: ['namespace', 'state'],
    help: 'Schedules by state = active, suspended, stalled, completed',
    who: 'leader',
  },
  tidemill_schedule_fires_total: {
    type: 'counter',
    labels: ['namespace', 'task', 'outcome'],
    help: 'Decisions on slots: outcome = fired, duplicate (decided before), skipped, missed, refused (by a spec that is no longer the newest; not decided by it)',
    who: 'engine',
  },
  tidemill_schedule_reasons_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Decisions on slots that have a reason, by that reason (Overlap, Superseded, DeadlineExceeded …)',
    who: 'engine',
  },
  tidemill_schedule_lag_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Time from a nominal slot to its run being in the queue',
    who: 'engine',
    buckets: LATENESS_BUCKETS,
  },
  tidemill_schedule_next_timestamp_seconds: {
    type: 'gauge',
    labels: ['namespace', 'schedule'],
    help: 'Next slot of a schedule; absent for all when there are more than 1,000 schedules',
    who: 'leader',
  },
  tidemill_schedule_last_success_timestamp_seconds: {
    type: 'gauge',
    labels: ['namespace', 'schedule'],
    help: 'Last success of a schedule; absent for all when there are more than 1,000 schedules',
    who: 'leader',
  },
  tidemill_schedule_last_failure_timestamp_seconds: {
    type: 'gauge',
    labels: ['namespace', 'schedule'],
    help: 'Last final failure of a run of a schedule; absent for all when there are more than 1,000 schedules',
    who: 'leader',
  },
  tidemill_redis_regressions_total: {
    type: 'counter',
    labels: ['what'],
    help: 'How often Redis was found to know less of a schedule than it did, as after a failover that lost writes: what = schedule, watermark, generation',
    who: 'engine',
  },
  tidemill_scheduler_leader: {
    type: 'gauge',
    labels: [],
    help: 'Whether this scheduler is the one that works now; for controllers see leader_election_master_status',
    who: 'scheduler',
  },

  ...CONTROLLER_METRICS,
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof CATALOGUE;
export type LabelName<N extends MetricName> = (typeof CATALOGUE)[N]['labels'][number];
/** Names of the metrics of one type. */
export type MetricOfType<T extends MetricType> = {
  [N in MetricName]: (typeof CATALOGUE)[N]['type'] extends T ? N : never;
}[MetricName];
