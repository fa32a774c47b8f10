/** Rows of the dashboard about what holds things up: is anything stuck, is capacity short? */
import { OF_INSTALL, p99, perQueue, QUEUES, type Row } from './dashboard-panel.ts';

export const STUCK: Row = {
  title: 'Is anything stuck?',
  panels: [
    {
      title: 'Redis answers',
      description: 'The worst of all processes: 0 means that at least one has no answer.',
      kind: 'stat',
      unit: 'short',
      queries: [{ expr: 'min(tidemill_redis_up)', legend: 'up' }],
    },
    {
      title: 'Stalled schedules',
      description: 'They cannot fire until someone mends them: kubectl get st -A.',
      kind: 'stat',
      unit: 'short',
      alarm: 1,
      queries: [
        {
          expr: 'sum(max by (job, namespace) (tidemill_schedules{state="stalled"}))',
          legend: 'stalled',
        },
      ],
    },
    {
      title: 'Paused queues',
      description: 'Nothing is claimed from them.',
      kind: 'stat',
      unit: 'short',
      queries: [{ expr: `sum(${perQueue('tidemill_queue_paused')})`, legend: 'paused' }],
    },
    {
      title: 'Queues with work and no consumer',
      description: 'Runs wait and nobody claims: runbook TidemillNoConsumer.',
      kind: 'stat',
      unit: 'short',
      alarm: 1,
      queries: [
        {
          expr: `count(${perQueue('tidemill_consumers')} == 0 and max by (queue) (tidemill_queue_depth{${QUEUES}, state="pending"}) > 0) or vector(0)`,
          legend: 'queues',
        },
      ],
    },
    {
      title: 'Lost leases, runs taken back',
      description:
        'A lost lease is a live consumer that was taken for dead; runs taken back are those of dead ones.',
      kind: 'timeseries',
      unit: 'short',
      queries: [
        {
          expr: 'sum(increase(tidemill_lease_renewals_total{result="lost"}[$__rate_interval]))',
          legend: 'leases lost',
        },
        {
          expr: 'sum by (queue) (increase(tidemill_recovered_runs_total{queue=~"$queue"}[$__rate_interval]))',
          legend: '{{queue}}: runs taken back',
        },
      ],
    },
    {
      title: 'Event-loop lag, p99',
      description: 'Over 1 s a process answers late. The panel beside it names the task that blocks.',
      kind: 'timeseries',
      unit: 's',
      alarm: 1,
      queries: [
        {
          expr: 'nodejs_eventloop_lag_p99_seconds and on (job, instance) tidemill_build_info',
          legend: '{{instance}}',
        },
      ],
    },
    {
      title: 'Event loop blocked, by task',
      description: 'Seconds in which a task let nothing else run: it wants cpuBound: true.',
      kind: 'timeseries',
      unit: 's',
      queries: [
        {
          expr: 'sum by (task) (increase(tidemill_loop_blocked_seconds_total{task=~"$task"}[$__rate_interval])) > 0',
          legend: '{{task}}',
        },
      ],
    },
    {
      title: 'The API server was last heard of',
      description:
        'Age of the last sign of life for each controller. Over 15 minutes: runbook TidemillInformerSilent.',
      kind: 'timeseries',
      unit: 's',
      alarm: 900,
      queries: [{ expr: 'time() - tidemill_informer_last_event_timestamp_seconds', legend: '{{instance}}' }],
    },
    {
      title: 'Objects that wait for the controller',
      description: 'To be looked at, and to have their status written.',
      kind: 'timeseries',
      unit: 'short',
      queries: [
        {
          expr: `workqueue_depth{${OF_INSTALL}, name="scheduledtask"} and on (job, instance) tidemill_build_info`,
          legend: '{{instance}}: to be looked at',
        },
        { expr: `tidemill_status_waiting{${OF_INSTALL}}`, legend: '{{instance}}: status, {{lane}}' },
      ],
    },
    {
      title: 'Calls to Redis, p99',
      description: 'By operation of the queue. Above 50 ms: Redis is overloaded, or far away.',
      kind: 'timeseries',
      unit: 's',
      alarm: 0.05,
      queries: [
        { expr: p99('tidemill_redis_command_duration_seconds', 'operation'), legend: '{{operation}}' },
      ],
    },
  ],
};

export const CAPACITY: Row = {
  title: 'Is capacity short?',
  panels: [
    {
      title: 'Runs in the queues',
      description: 'Pending runs wait for a consumer, delayed ones for their time.',
      kind: 'timeseries',
      unit: 'short',
      stacked: true,
      queries: [
        {
          expr: `max by (queue, state) (tidemill_queue_depth{${QUEUES}, state=~"pending|delayed|running"})`,
          legend: '{{queue}}: {{state}}',
        },
      ],
    },
    {
      title: 'In and out',
      description:
        'Runs put into the queues by Tidemill itself, and attempts begun. What applications enqueue is not counted here.',
      kind: 'timeseries',
      unit: 'ops',
      queries: [
        {
          expr: 'sum by (queue) (rate(tidemill_enqueued_total{queue=~"$queue"}[$__rate_interval]))',
          legend: '{{queue}}: in',
        },
        {
          expr: 'sum by (queue) (rate(tidemill_runs_started_total{queue=~"$queue"}[$__rate_interval]))',
          legend: '{{queue}}: begun',
        },
      ],
    },
    {
      title: 'Slots in use',
      description: 'Near 100 % while runs wait: more consumers, or more concurrency.',
      kind: 'timeseries',
      unit: 'percentunit',
      alarm: 0.95,
      queries: [
        {
          expr: 'sum by (job, executor) (tidemill_runs_active) / (sum by (job, executor) (tidemill_concurrency_limit) > 0)',
          legend: '{{job}}: {{executor}}',
        },
      ],
    },
    {
      title: 'Consumers',
      description: 'With a live lease, by queue.',
      kind: 'timeseries',
      unit: 'short',
      queries: [{ expr: perQueue('tidemill_consumers'), legend: '{{queue}}' }],
    },
    {
      title: 'Duration of attempts, p99',
      description: 'By task.',
      kind: 'timeseries',
      unit: 's',
      queries: [{ expr: p99('tidemill_run_duration_seconds', 'task', 'task=~"$task"'), legend: '{{task}}' }],
    },
    {
      title: 'Memory of Redis in use',
      description: 'Of its maxmemory. When it is full, enqueues and fires are refused.',
      kind: 'timeseries',
      unit: 'percentunit',
      alarm: 0.85,
      queries: [
        {
          expr: `max(tidemill_redis_memory_used_bytes{${OF_INSTALL}}) / (max(tidemill_redis_memory_max_bytes{${OF_INSTALL}}) > 0)`,
          legend: 'used',
        },
      ],
    },
    {
      title: 'Room in the queues',
      description: 'Runs that wait, of those that may. Full queues refuse.',
      kind: 'timeseries',
      unit: 'percentunit',
      alarm: 0.8,
      queries: [
        {
          expr: `sum by (queue) (max by (queue, state) (tidemill_queue_depth{${QUEUES}, state=~"pending|delayed"})) / ${perQueue('tidemill_queue_max_pending')}`,
          legend: '{{queue}}',
        },
      ],
    },
    {
      title: 'Ended runs that are kept',
      description: 'Bytes in Redis, by queue; bounded by the retention settings of the consumers.',
      kind: 'timeseries',
      unit: 'bytes',
      stacked: true,
      queries: [{ expr: perQueue('tidemill_queue_retained_bytes'), legend: '{{queue}}' }],
    },
    {
      title: 'Memory of processes',
      description: 'Resident memory, and the largest child of each consumer.',
      kind: 'timeseries',
      unit: 'bytes',
      queries: [
        {
          expr: 'process_resident_memory_bytes and on (job, instance) tidemill_build_info',
          legend: '{{instance}}',
        },
        { expr: 'tidemill_child_rss_bytes > 0', legend: '{{instance}}: largest child' },
      ],
    },
    {
      title: 'Builds',
      description: 'What runs. Two versions for longer than a roll-out: something did not roll out.',
      kind: 'table',
      unit: 'short',
      queries: [
        {
          expr: 'count by (job, version, node_version) (tidemill_build_info)',
          legend: '{{job}} {{version}}',
        },
      ],
    },
  ],
};
