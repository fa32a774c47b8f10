/** `tidemill controller`: fires the ScheduledTask objects of a cluster into Redis, and tells in their status what became of them. */
import type { Command } from 'commander';
import { z } from 'zod';
import { ScheduleEngine } from '../../controller/engine.ts';
import { OBJECTS_PER_CALL } from '../../controller/engine-context.ts';
import { EventRecorder } from '../../controller/event-recorder.ts';
import { SILENT_ENGINE_OBSERVER } from '../../controller/observer.ts';
import { defaultQueuePolicy } from '../../controller/tenancy.ts';
import { StatusReporter } from '../../controller/status-reporter.ts';
import { probeRoutes } from '../../http/probes.ts';
import { serveHttp } from '../../http/server.ts';
import { watchSignals } from '../../runtime/shutdown.ts';
import { type ControllerMetrics, controllerMetrics } from '../../telemetry/controller-metrics.ts';
import { createLog } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { connectBroker } from '../context.ts';
import { engineLog } from '../engine-log.ts';
import { watchEngine } from '../engine-watch.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { guardProcess } from '../guard.ts';
import { hangingReasons, notReadyReasons } from '../health.ts';
import { joinObservers } from '../observers.ts';
import { collectQueues } from '../queue-gauges.ts';
import { QueuesFile } from '../queues-file.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { runTogether } from '../run-together.ts';
import { ScheduleBoard } from '../schedule-board.ts';
import { ControllerSettings } from '../settings.ts';
import { joinSinks } from '../sinks.ts';
import { VERSION } from '../version.ts';

const NoOptions = z.object({});
type ControllerCall = Call<typeof ControllerSettings, typeof NoOptions>;

export function addController(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      name: 'controller',
      summary: 'fire the ScheduledTask objects of a Kubernetes cluster into Redis',
      details:
        'Start as many as you like: the holder of the Lease works, another takes over within 25 s of its death. What has to be there first:\n' +
        'the CRD (tidemill crd) and the rights (tidemill rbac).',
      examples: [
        'tidemill controller --redis redis://redis:6379',
        'tidemill controller --kubeconfig ~/.kube/config --watch-namespaces team-a,team-b',
      ],
      settings: ControllerSettings,
      rules: REDIS_RULES,
      options: NoOptions,
      jsonHelp: 'no effect: the log is JSON lines anyway',
      run: runController,
    },
    surroundings,
  );
}

/** Apart from the function that uses it: in one with `using`, the compiler leaves the name of the file as it is. */
async function loadCluster(): Promise<typeof import('../cluster.ts').openCluster> {
  const { openCluster } = await import('../cluster.ts');
  return openCluster;
}

async function runController({ settings, io }: ControllerCall): Promise<ExitCode> {
  using shutdown = watchSignals();
  const { clock } = io;
  const log = createLog({ level: settings.logLevel, destination: io.stdout, clock });
  const metrics = new Metrics({ clock, log, build: { version: VERSION } });
  using guard = guardProcess({ log, metrics, onFatal: () => shutdown.stop('uncaught exception') });

  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await connectBroker(settings, { io, log, metrics, enqueued: () => undefined }));
  const openCluster = await loadCluster();
  const watch: { counted?: ControllerMetrics } = {};
  const cluster = stack.use(
    openCluster(settings, {
      ...{ io, log },
      watch: {
        requested: (request) => watch.counted?.requested(request),
        informerRestarted: (reason) => watch.counted?.informerRestarted(reason),
      },
    }),
  );
  const { informer, statuses, events } = cluster;
  let waiting = { urgent: 0, refresh: 0 };
  const reporter = new StatusReporter({
    ...{ source: informer, store: statuses, clock, log },
    observer: {
      wrote: ({ lane, outcome }) => watch.counted?.statusWritten(lane, outcome),
      waiting: (now) => {
        waiting = now;
      },
    },
  });
  const recorder = new EventRecorder({
    ...{ store: events, clock, log },
    observer: { recorded: ({ reason, outcome }) => watch.counted?.event(reason, outcome) },
  });
  const queues = settings.queuesFile === undefined ? undefined : new QueuesFile(settings.queuesFile, io);
  let leading = false;
  const board = new ScheduleBoard();
  // What is true of the whole cluster only the leader tells, or sums over replicas would count it more than once.
  const { counted, observer } = watchEngine(metrics, { readings: () => (leading ? board.readings() : []) });
  const engine: ScheduleEngine = new ScheduleEngine({
    ...{ source: informer, broker, log, clock, install: settings.install },
    sink: joinSinks(board, reporter, recorder),
    allow: queues?.policy ?? defaultQueuePolicy(cluster.namespace),
    observer: joinObservers(SILENT_ENGINE_OBSERVER, observer, engineLog(log), recorder.observer, {
      turned: (event) => watch.counted?.turned(event),
      callFailed: () => watch.counted?.callFailed(),
      keyAdded: () => watch.counted?.keyAdded(),
      keyTaken: (waitedMs) => watch.counted?.keyTaken(waitedMs),
      keyDone: (workedMs) => watch.counted?.keyDone(workedMs),
      keyRetried: () => watch.counted?.keyRetried(),
    }),
  });
  watch.counted = controllerMetrics({
    metrics,
    lease: settings.leaseName,
    maxConcurrentReconciles: OBJECTS_PER_CALL,
    health: () => engine.health,
    waiting: () => waiting,
    informers: () => informer.states(),
  });
  collectQueues(metrics, broker, () => (leading ? broker.queueNames() : []));

  const routes = probeRoutes({
    live: () => (leading ? hangingReasons(engine.health) : []),
    ready: () => [
      ...notReadyReasons(broker, shutdown.signal),
      ...(informer.synced ? [] : ['the objects of the cluster have not been listed yet']),
    ],
    metrics,
  });
  const http = stack.use(await serveHttp({ host: settings.httpHost, port: settings.httpPort, routes, log }));
  log.info('controller started', {
    version: VERSION,
    install: settings.install,
    identity: cluster.identity,
    server: cluster.server,
    namespaces: settings.watchNamespaces ?? 'all',
    redis: broker.description,
    http: http.url,
  });
  const onChange = (isLeader: boolean): void => {
    leading = isLeader;
    counted.leading(isLeader);
    watch.counted?.leading(isLeader);
  };
  await runTogether(shutdown, [
    (signal) => informer.run(signal),
    async (signal) => queues?.run(signal, log, () => engine.reconsider()),
    (signal) =>
      cluster.lead(signal, onChange, async (term) => {
        // Sinks first: what is reported before they run is ignored. Who lost the Lease writes nothing more.
        const mayFlush = (): boolean => shutdown.signal.aborted;
        await Promise.all([reporter.run(term, mayFlush), recorder.run(term), engine.run(term)]);
      }),
  ]);
  log.info('controller stopped', {
    reason: guard.fatal ? 'uncaught exception' : String(shutdown.signal.reason),
  });
  return guard.fatal ? EXIT.failure : EXIT.ok;
}
