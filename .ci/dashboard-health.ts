/** Rows of the dashboard about what goes wrong: is anything late, is anything failing? */
import { OF_INSTALL, p99, perQueue, type Row } from './dashboard-panel.ts';

export const LATE: Row = {
  title: 'Is anything late?',
  panels: [
    {
      title: 'Leaders',
      description: 'Must be 1. At 0 no schedule fires: runbook TidemillNoLeader.',
      kind: 'stat',
      unit: 'short',
      queries: [
        {
          expr: `sum(leader_election_master_status{${OF_INSTALL}} and on (job, instance) tidemill_build_info) or sum(tidemill_scheduler_leader{${OF_INSTALL}})`,
          legend: 'leaders',
        },
      ],
    },
    {
      title: 'Overdue schedules',
      description: 'Schedules whose next slot passed more than 60 s ago and was not decided. Must be 0.',
      kind: 'stat',
      unit: 'short',
      alarm: 1,
      queries: [
        {
          expr: 'count((time() - max by (job, namespace, schedule) (tidemill_schedule_next_timestamp_seconds)) > 60) or vector(0)',
          legend: 'overdue',
        },
      ],
    },
    {
      title: 'From slot to queue, p50 and p99',
      description: 'Time from a nominal slot to its run being in the queue. Up to 30 s counts as on time.',
      kind: 'timeseries',
      unit: 's',
      alarm: 30,
      queries: [
        { expr: p99('tidemill_schedule_lag_seconds', ''), legend: 'p99' },
        {
          expr: 'histogram_quantile(0.5, sum by (le) (rate(tidemill_schedule_lag_seconds_bucket[$__rate_interval])))',
          legend: 'p50',
        },
      ],
    },
    {
      title: 'Oldest ready run',
      description:
        'How long the oldest run that could start has waited. Over 5 minutes: runbook TidemillQueueTooOld.',
      kind: 'timeseries',
      unit: 's',
      alarm: 300,
      queries: [{ expr: perQueue('tidemill_queue_oldest_age_seconds'), legend: '{{queue}}' }],
    },
    {
      title: 'From due to started, p99',
      description: 'What runs wait in the queue, seen by the consumers.',
      kind: 'timeseries',
      unit: 's',
      queries: [{ expr: p99('tidemill_run_wait_seconds', 'queue', 'queue=~"$queue"'), legend: '{{queue}}' }],
    },
    {
      title: 'Decisions on slots',
      description:
        'Fired is good. Missed and skipped slots have a reason: see the panel beside it, and tidemill schedules why.',
      kind: 'timeseries',
      unit: 'ops',
      stacked: true,
      queries: [
        {
          expr: 'sum by (outcome) (rate(tidemill_schedule_fires_total[$__rate_interval]))',
          legend: '{{outcome}}',
        },
      ],
    },
    {
      title: 'Why slots did not simply fire',
      description: 'Reasons of the decisions on slots.',
      kind: 'timeseries',
      unit: 'short',
      stacked: true,
      queries: [
        {
          expr: 'sum by (reason) (increase(tidemill_schedule_reasons_total[$__rate_interval])) > 0',
          legend: '{{reason}}',
        },
      ],
    },
  ],
};

export const FAILING: Row = {
  title: 'Is anything failing?',
  panels: [
    {
      title: 'Ended attempts',
      description:
        'By outcome. A retry is a failure that is tried again; lost: the consumer no longer held the run.',
      kind: 'timeseries',
      unit: 'ops',
      stacked: true,
      queries: [
        {
          expr: 'sum by (outcome) (rate(tidemill_runs_finished_total{queue=~"$queue", task=~"$task"}[$__rate_interval]))',
          legend: '{{outcome}}',
        },
      ],
    },
    {
      title: 'Failed attempts by task and reason',
      description: 'Failures, those that are tried again included: error, timeout, heap, crash.',
      kind: 'timeseries',
      unit: 'short',
      stacked: true,
      queries: [
        {
          expr: 'sum by (task, reason) (increase(tidemill_run_failures_total{task=~"$task"}[$__rate_interval])) > 0',
          legend: '{{task}}: {{reason}}',
        },
      ],
    },
    {
      title: 'Dead letters',
      description: 'Runs that failed for good. They are kept: tidemill runs ls --state failed.',
      kind: 'timeseries',
      unit: 'short',
      queries: [
        {
          expr: 'sum by (queue, task) (increase(tidemill_dead_letters_total{queue=~"$queue", task=~"$task"}[$__rate_interval])) > 0',
          legend: '{{queue}}: {{task}}',
        },
      ],
    },
    {
      title: 'Schedules whose last run failed',
      description: 'Their newest ended run failed for good, and none succeeded since.',
      kind: 'table',
      unit: 'short',
      queries: [
        {
          expr: 'max by (namespace, schedule) (tidemill_schedule_last_failure_timestamp_seconds) unless (max by (namespace, schedule) (tidemill_schedule_last_failure_timestamp_seconds) <= max by (namespace, schedule) (tidemill_schedule_last_success_timestamp_seconds))',
          legend: '{{namespace}}/{{schedule}}',
        },
      ],
    },
    {
      title: 'Refused',
      description: 'Runs that a full queue refused, and errors of Redis by reason. Must be 0.',
      kind: 'timeseries',
      unit: 'short',
      queries: [
        {
          expr: 'sum by (queue, source) (increase(tidemill_enqueue_refusals_total{queue=~"$queue"}[$__rate_interval]))',
          legend: 'queue {{queue}} full, {{source}}',
        },
        {
          expr: `sum by (reason) (increase(tidemill_redis_refusals_total{${OF_INSTALL}}[$__rate_interval]))`,
          legend: 'Redis: {{reason}}',
        },
      ],
    },
    {
      title: 'Ends of child processes',
      description: 'Died, start-failed and protocol are bad; recycled and disposed are routine.',
      kind: 'timeseries',
      unit: 'short',
      stacked: true,
      queries: [
        {
          expr: 'sum by (reason) (increase(tidemill_child_exits_total[$__rate_interval])) > 0',
          legend: '{{reason}}',
        },
      ],
    },
  ],
};
