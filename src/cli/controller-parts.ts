/** The parts of a controller, wired to each other: the engine with the informer as its source, and statuses, events and metrics behind it. */
import type { Broker } from '../broker/broker.ts';
import { ScheduleEngine } from '../controller/engine.ts';
import { OBJECTS_PER_CALL } from '../controller/engine-context.ts';
import { EVENTS } from '../controller/event-reasons.ts';
import { EventRecorder } from '../controller/event-recorder.ts';
import { type EngineObserver, SILENT_ENGINE_OBSERVER } from '../controller/observer.ts';
import { StatusReporter } from '../controller/status-reporter.ts';
import type { QueuePolicy } from '../controller/verdict.ts';
import {
  collectController,
  type ControllerMetrics,
  controllerMetrics,
} from '../telemetry/controller-metrics.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Cluster, ClusterWatch } from './cluster.ts';
import { collectCluster } from './cluster-gauges.ts';
import { engineLog } from './engine-log.ts';
import { watchEngine } from './engine-watch.ts';
import { hangingReasons } from './health.ts';
import type { Io } from './io.ts';
import { joinObservers } from './observers.ts';
import { leadWhileConnected } from './lead-while-connected.ts';
import { ScheduleBoard } from './schedule-board.ts';
import { joinSinks } from './sinks.ts';

export interface PartsOptions {
  readonly io: Io;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly broker: Broker;
  readonly install: string;
  readonly lease: string;
  /** Given what is to be told of requests and restarts. */
  readonly openCluster: (watch: ClusterWatch) => Cluster;
  /** By the namespace of the controller. */
  readonly allow: (namespace: string) => QueuePolicy;
}

export interface ControllerParts extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly engine: ScheduleEngine;
  /** Why a restart would help; empty when all is well. */
  live(): readonly string[];
  /** Works whenever this process holds the Lease. @param mayFlush - whether statuses are still written after the signal */
  lead(signal: AbortSignal, mayFlush: () => boolean): Promise<void>;
}

export function assembleController(options: PartsOptions): ControllerParts {
  const { io, log, metrics, broker, install, lease } = options;
  const { clock } = io;
  const told = controllerMetrics({
    metrics,
    lease,
    maxConcurrentReconciles: OBJECTS_PER_CALL,
    eventReasons: Object.keys(EVENTS),
  });
  const cluster = options.openCluster({
    requested: (request) => told.requested(request),
    informerRestarted: (reason) => told.informerRestarted(reason),
  });
  const { informer, statuses, events } = cluster;
  let waiting = { urgent: 0, refresh: 0 };
  const reporter = new StatusReporter({
    ...{ source: informer, store: statuses, clock, log },
    observer: {
      wrote: ({ lane, outcome }) => told.statusWritten(lane, outcome),
      waiting: (now) => (waiting = now),
    },
  });
  const recorder = new EventRecorder({
    ...{ store: events, clock, log },
    observer: { recorded: ({ reason, outcome }) => told.event(reason, outcome) },
  });
  let leading = false;
  const board = new ScheduleBoard();
  // What is true of the whole cluster only the leader tells, or sums over replicas would count it more than once.
  const observer = watchEngine(metrics, { readings: () => (leading ? board.readings() : []) });
  const engine = new ScheduleEngine({
    ...{ source: informer, broker, log, clock, install },
    sink: joinSinks(board, reporter, recorder),
    allow: options.allow(cluster.namespace),
    observer: joinObservers(
      SILENT_ENGINE_OBSERVER,
      observer,
      engineLog(log),
      recorder.observer,
      workObserver(told),
    ),
  });
  collectController(metrics, {
    health: () => engine.health,
    waiting: () => waiting,
    informers: () => informer.states(),
  });
  collectCluster(metrics, broker, () => leading);

  const onChange = (isLeader: boolean): void => {
    leading = isLeader;
    told.leading(isLeader);
  };
  return {
    cluster,
    engine,
    live: () => (leading ? hangingReasons(engine.health) : []),
    lead: (signal, mayFlush) =>
      leadWhileConnected({ connected: () => broker.connected, clock, log }, signal, (connected) =>
        cluster.lead(connected, onChange, async (term) => {
          // Sinks first: what is reported before they run is ignored.
          await Promise.all([reporter.run(term, mayFlush), recorder.run(term), engine.run(term)]);
        }),
      ),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

function workObserver(told: ControllerMetrics): Partial<EngineObserver> {
  return {
    turned: (event) => told.turned(event),
    callFailed: () => told.callFailed(),
    keyAdded: () => told.keyAdded(),
    keyTaken: (waitedMs) => told.keyTaken(waitedMs),
    keyDone: (workedMs) => told.keyDone(workedMs),
    keyRetried: () => told.keyRetried(),
  };
}
