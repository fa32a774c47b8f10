/** What a controller does beside deciding on slots, under the names that dashboards of other operators know. Nothing in here throws or waits. */
import type { Metrics } from './metrics.ts';

/** Value of the labels `controller`, `name` and `resource`. */
const CONTROLLER = { controller: 'scheduledtask' };
const QUEUE = { ...CONTROLLER, name: 'scheduledtask' };
const RESOURCE = { resource: 'scheduledtasks' };

const RESULTS = ['success', 'error', 'requeue'] as const;
const RESTARTS = ['gone', 'rewound', 'silence', 'closed', 'relist', 'error'] as const;
const LANES = ['urgent', 'refresh'] as const;
const WRITES = ['applied', 'conflict', 'gone', 'failed'] as const;
const EVENT_OUTCOMES = ['written', 'dropped', 'failed'] as const;
/** No answer came, so there is no code; the word that client-go uses. */
const NO_CODE = '<error>';

export interface ControllerMetricsOptions {
  readonly metrics: Metrics;
  /** Name of the Lease. */
  readonly lease: string;
  readonly maxConcurrentReconciles: number;
  /** The closed list of reasons of events, to start each at 0. */
  readonly eventReasons: readonly string[];
}

/** Read at scrape. */
export interface ControllerReadings {
  readonly health: () => { readonly backlog: number; readonly processingMs: readonly number[] };
  readonly waiting: () => { readonly urgent: number; readonly refresh: number };
  readonly informers: () => readonly {
    /** Empty when all namespaces are watched. */
    readonly namespace: string;
    readonly synced: boolean;
    /** Wall clock, ms; absent before anything was heard. */
    readonly lastEventMs: number | undefined;
  }[];
}

export function controllerMetrics({
  metrics,
  lease,
  maxConcurrentReconciles,
  eventReasons,
}: ControllerMetricsOptions) {
  const leading = metrics.gauge('leader_election_master_status');
  const reconciles = metrics.counter('controller_runtime_reconcile_total');
  const errors = metrics.counter('controller_runtime_reconcile_errors_total');
  const reconcileTime = metrics.histogram('controller_runtime_reconcile_time_seconds');
  const adds = metrics.counter('workqueue_adds_total');
  const retries = metrics.counter('workqueue_retries_total');
  const queueTime = metrics.histogram('workqueue_queue_duration_seconds');
  const workTime = metrics.histogram('workqueue_work_duration_seconds');
  const requests = metrics.counter('rest_client_requests_total');
  const requestTime = metrics.histogram('rest_client_request_duration_seconds');
  const restarts = metrics.counter('tidemill_informer_restarts_total');
  const writes = metrics.counter('tidemill_status_writes_total');
  const events = metrics.counter('tidemill_events_total');

  leading.set({ name: lease }, 0);
  metrics.gauge('controller_runtime_max_concurrent_reconciles').set(CONTROLLER, maxConcurrentReconciles);
  for (const result of RESULTS) reconciles.add({ ...CONTROLLER, result }, 0);
  errors.add(CONTROLLER, 0);
  adds.add(QUEUE, 0);
  retries.add(QUEUE, 0);
  reconcileTime.touch(CONTROLLER);
  for (const histogram of [queueTime, workTime]) histogram.touch(QUEUE);
  for (const reason of RESTARTS) restarts.add({ ...RESOURCE, reason }, 0);
  for (const lane of LANES) for (const outcome of WRITES) writes.add({ lane, outcome }, 0);
  for (const reason of eventReasons) for (const outcome of EVENT_OUTCOMES) events.add({ reason, outcome }, 0);

  return {
    leading: (isLeader: boolean): void => leading.set({ name: lease }, isLeader ? 1 : 0),
    turned({ reconciled, durationMs }: { readonly reconciled: number; readonly durationMs: number }): void {
      if (reconciled === 0) return;
      reconciles.add({ ...CONTROLLER, result: 'success' }, reconciled);
      reconcileTime.observe(CONTROLLER, durationMs / 1_000);
    },
    callFailed(): void {
      reconciles.add({ ...CONTROLLER, result: 'error' });
      errors.add(CONTROLLER);
    },
    keyAdded: (): void => adds.add(QUEUE),
    keyTaken: (waitedMs: number): void => queueTime.observe(QUEUE, waitedMs / 1_000),
    keyDone: (workedMs: number): void => workTime.observe(QUEUE, workedMs / 1_000),
    keyRetried(): void {
      retries.add(QUEUE);
      reconciles.add({ ...CONTROLLER, result: 'requeue' });
    },
    /** @param code - HTTP status; `undefined` when no answer came */
    requested(request: {
      readonly method: string;
      readonly host: string;
      readonly code: number | undefined;
      readonly durationMs: number;
    }): void {
      const { method, host, code, durationMs } = request;
      requests.add({ method, host, code: code === undefined ? NO_CODE : String(code) });
      requestTime.observe({ verb: method, host }, durationMs / 1_000);
    },
    informerRestarted: (reason: string): void => restarts.add({ ...RESOURCE, reason }),
    statusWritten: (lane: string, outcome: string): void => writes.add({ lane, outcome }),
    event: (reason: string, outcome: string): void => events.add({ reason, outcome }),
  };
}

export type ControllerMetrics = ReturnType<typeof controllerMetrics>;

export function collectController(
  metrics: Metrics,
  { health, waiting, informers }: ControllerReadings,
): void {
  metrics.addCollector({
    name: 'workqueue',
    families: [
      'workqueue_depth',
      'workqueue_unfinished_work_seconds',
      'workqueue_longest_running_processor_seconds',
      'controller_runtime_active_workers',
    ],
    collect: async () => {
      const { backlog, processingMs } = health();
      const sumMs = processingMs.reduce((sum, ms) => sum + ms, 0);
      const longestMs = processingMs.reduce((longest, ms) => Math.max(longest, ms), 0);
      return [
        { family: 'workqueue_depth', labels: QUEUE, value: backlog },
        { family: 'workqueue_unfinished_work_seconds', labels: QUEUE, value: sumMs / 1_000 },
        { family: 'workqueue_longest_running_processor_seconds', labels: QUEUE, value: longestMs / 1_000 },
        { family: 'controller_runtime_active_workers', labels: CONTROLLER, value: processingMs.length },
      ];
    },
  });
  metrics.addCollector({
    name: 'informer',
    families: ['tidemill_informer_synced', 'tidemill_informer_last_event_timestamp_seconds'],
    collect: async () =>
      informers().flatMap(({ namespace, synced, lastEventMs }) => {
        const labels = { ...RESOURCE, namespace };
        return [
          { family: 'tidemill_informer_synced' as const, labels, value: synced ? 1 : 0 },
          ...(lastEventMs === undefined
            ? []
            : [
                {
                  family: 'tidemill_informer_last_event_timestamp_seconds' as const,
                  labels,
                  value: lastEventMs / 1_000,
                },
              ]),
        ];
      }),
  });
  metrics.addCollector({
    name: 'status',
    families: ['tidemill_status_waiting'],
    collect: async () =>
      Object.entries(waiting()).map(([lane, value]) => ({
        family: 'tidemill_status_waiting' as const,
        labels: { lane },
        value,
      })),
  });
}
