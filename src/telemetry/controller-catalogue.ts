/** The metrics that only a controller exports, under the names of controller-runtime and client-go where those have one. */
import type { MetricDefinition } from './metric-definition.ts';

/** From one object in a quiet queue to a queue that hangs. */
const WORK_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60] as const;

export const CONTROLLER_METRICS = {
  leader_election_master_status: {
    type: 'gauge',
    labels: ['name'],
    help: 'Whether this controller holds the Lease of that name; the name is that of client-go',
    who: 'controller',
  },
  controller_runtime_reconcile_total: {
    type: 'counter',
    labels: ['controller', 'result'],
    help: 'Objects looked at: result = success, error, requeue; the name is that of controller-runtime',
    who: 'controller',
  },
  controller_runtime_reconcile_errors_total: {
    type: 'counter',
    labels: ['controller'],
    help: 'Calls to the queue that failed, each for a batch of objects',
    who: 'controller',
  },
  controller_runtime_reconcile_time_seconds: {
    type: 'histogram',
    labels: ['controller'],
    help: 'Time of one turn of a queue that had objects to look at',
    who: 'controller',
    buckets: WORK_BUCKETS,
  },
  controller_runtime_active_workers: {
    type: 'gauge',
    labels: ['controller'],
    help: 'Objects that are being looked at right now',
    who: 'controller',
  },
  controller_runtime_max_concurrent_reconciles: {
    type: 'gauge',
    labels: ['controller'],
    help: 'Most objects of a queue that are looked at in one turn',
    who: 'controller',
  },
  workqueue_depth: {
    type: 'gauge',
    labels: ['name', 'controller'],
    help: 'Objects that wait to be looked at; the name is that of client-go, as in all of workqueue_*',
    who: 'controller',
  },
  workqueue_adds_total: {
    type: 'counter',
    labels: ['name', 'controller'],
    help: 'Objects marked to be looked at',
    who: 'controller',
  },
  workqueue_retries_total: {
    type: 'counter',
    labels: ['name', 'controller'],
    help: 'Objects to be looked at again after a failure',
    who: 'controller',
  },
  workqueue_queue_duration_seconds: {
    type: 'histogram',
    labels: ['name', 'controller'],
    help: 'How long an object waited to be looked at',
    who: 'controller',
    buckets: WORK_BUCKETS,
  },
  workqueue_work_duration_seconds: {
    type: 'histogram',
    labels: ['name', 'controller'],
    help: 'How long an object was looked at; they go in batches, so this is the time of the batch',
    who: 'controller',
    buckets: WORK_BUCKETS,
  },
  workqueue_unfinished_work_seconds: {
    type: 'gauge',
    labels: ['name', 'controller'],
    help: 'Sum of the time that the objects being looked at have taken so far',
    who: 'controller',
  },
  workqueue_longest_running_processor_seconds: {
    type: 'gauge',
    labels: ['name', 'controller'],
    help: 'Longest of those times: one that grows without end means a queue that hangs',
    who: 'controller',
  },
  rest_client_requests_total: {
    type: 'counter',
    labels: ['code', 'method', 'host'],
    help: 'Requests to the API server by status code (`<error>`: no answer came); the name is that of client-go',
    who: 'controller',
  },
  rest_client_request_duration_seconds: {
    type: 'histogram',
    labels: ['verb', 'host'],
    help: 'Time from a request to the head of its answer; watches are left out',
    who: 'controller',
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
  },
  tidemill_informer_synced: {
    type: 'gauge',
    labels: ['resource', 'namespace'],
    help: 'Whether a full list of the objects has succeeded; namespace is empty when all are watched',
    who: 'controller',
  },
  tidemill_informer_last_event_timestamp_seconds: {
    type: 'gauge',
    labels: ['resource', 'namespace'],
    help: 'When the API server last told anything of the objects, bookmarks and lists included',
    who: 'controller',
  },
  tidemill_informer_restarts_total: {
    type: 'counter',
    labels: ['resource', 'reason'],
    help: 'How often list and watch began anew: reason = gone, rewound (the data of the server was restored), silence, closed, relist, error',
    who: 'controller',
  },
  tidemill_status_writes_total: {
    type: 'counter',
    labels: ['lane', 'outcome'],
    help: 'Writes of status: lane = urgent, refresh; outcome = applied, conflict, gone, failed',
    who: 'controller',
  },
  tidemill_status_waiting: {
    type: 'gauge',
    labels: ['lane'],
    help: 'Objects whose status waits to be written',
    who: 'controller',
  },
  tidemill_events_total: {
    type: 'counter',
    labels: ['reason', 'outcome'],
    help: 'Kubernetes events by reason: outcome = written, dropped (over the rate limit of the object), failed',
    who: 'controller',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
