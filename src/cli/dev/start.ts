/** Puts the parts of `dev` together, runs them until Ctrl-C, and starts anew when the tasks have changed. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Broker } from '../../broker/broker.ts';
import { createMemoryBroker } from '../../broker/memory/memory-broker.ts';
import { WatchedLoopLag } from '../../consumer/loop-lag.ts';
import { SILENT_OBSERVER } from '../../consumer/observer.ts';
import { ScheduleEngine } from '../../controller/engine.ts';
import { FileSource } from '../../controller/file-source.ts';
import { SILENT_ENGINE_OBSERVER } from '../../controller/observer.ts';
import { keyOf, type ObjectKey } from '../../resource/scheduled-object.ts';
import { probeRoutes } from '../../http/probes.ts';
import { type HttpServer, type Routes, serveHttp } from '../../http/server.ts';
import { type ParsedManifests, parseManifests } from '../../resource/manifest.ts';
import { timingOf } from '../../resource/to-schedule.ts';
import { TidemillError } from '../../runtime/errors.ts';
import { type Shutdown, watchSignals } from '../../runtime/shutdown.ts';
import { type ConsumerMetrics, consumerMetrics } from '../../telemetry/consumer-metrics.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { taskProblems } from '../check-tasks.ts';
import { watchEngine } from '../engine-watch.ts';
import { collectCluster } from '../cluster-gauges.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { plural, showRelative } from '../format.ts';
import { type Guard, guardProcess } from '../guard.ts';
import { liveReasons } from '../health.ts';
import { codeObjects } from '../manifests.ts';
import type { Io } from '../io.ts';
import { MeasuredBroker } from '../measured-broker.ts';
import { joinObservers } from '../observers.ts';
import { reportError } from '../report-error.ts';
import { runTogether } from '../run-together.ts';
import { ScheduleBoard } from '../schedule-board.ts';
import { showSpec } from '../show-timing.ts';
import { BUILD, VERSION } from '../version.ts';
import { loadTaskSet, type TaskSet, workerLimits, WorkerParts } from '../worker.ts';
import type { DevCall } from './call.ts';
import { DevConsole } from './console.ts';
import { consumerTeller, engineTeller } from './events.ts';
import { QueueFollower } from './queue-follower.ts';
import { restartProcess } from '../restart.ts';
import { watchTasks } from './watch-files.ts';

/** Which objects are ours: there is nobody else on a broker in memory. */
const INSTALL = 'dev';
const IDLE_MS = 60_000;

export async function startDev(call: DevCall): Promise<ExitCode> {
  const { settings, options, io } = call;
  let changed: string | undefined;
  let code: ExitCode;
  {
    using shutdown = watchSignals();
    const onChange = (file: string): void => {
      changed = file;
      shutdown.stop('tasks changed');
    };
    using _watcher = options.watch
      ? watchTasks({ paths: settings.tasks, cwd: io.cwd, clock: io.clock, onChange })
      : undefined;
    // Watched before it is read: what is saved in between is noticed.
    const tasks = await loadTasksOrError(call);
    code =
      tasks instanceof TidemillError
        ? await awaitChange(call, tasks, shutdown, () => changed)
        : await runDev(call, tasks, shutdown, () => changed);
  }
  // Everything is disposed by now: what follows is another program.
  if (changed !== undefined) restartProcess();
  return code;
}

/** A mistake that a change of the sources can mend is a value; without a watch, or for a path that leads nowhere, it is thrown. */
async function loadTasksOrError({ settings, options, io }: DevCall): Promise<TaskSet | TidemillError> {
  try {
    return await loadTaskSet(settings.tasks, io);
  } catch (error) {
    const isThere = settings.tasks.every((path) => existsSync(resolve(io.cwd, path)));
    if (options.watch && isThere && error instanceof TidemillError) return error;
    throw error;
  }
}

/** Says what is wrong, and waits for a change or for Ctrl-C. */
async function awaitChange(
  { settings, io, json }: DevCall,
  error: TidemillError,
  { signal }: Shutdown,
  changed: () => string | undefined,
): Promise<ExitCode> {
  const code = reportError(error, io, json);
  using screen = new DevConsole({ io, json, level: settings.logLevel });
  screen.tell({ atMs: io.clock.now(), event: 'waiting', tasks: settings.tasks });
  // A timer, because a folder that cannot be watched would let the process end here.
  while (!signal.aborted) await io.clock.sleep(IDLE_MS, signal);
  const file = changed();
  if (file !== undefined) screen.tell({ atMs: io.clock.now(), event: 'restarting', file });
  return code;
}

/** What all parts of `dev` are given. */
interface Context {
  readonly call: DevCall;
  readonly tasks: TaskSet;
  readonly broker: Broker;
  readonly metrics: Metrics;
  readonly counted: ConsumerMetrics;
  readonly screen: DevConsole;
  readonly guard: Guard;
}

async function runDev(
  call: DevCall,
  tasks: TaskSet,
  shutdown: Shutdown,
  changed: () => string | undefined,
): Promise<ExitCode> {
  const { settings, io, json } = call;
  const { signal } = shutdown;
  const startedMs = io.clock.now();
  using screen = new DevConsole({ io, json, level: settings.logLevel });
  const metrics = new Metrics({ clock: io.clock, log: screen.log, build: BUILD });
  using guard = guardProcess({
    log: screen.log,
    metrics,
    onFatal: () => shutdown.stop('uncaught exception'),
  });

  await using stack = new AsyncDisposableStack();
  const counted = consumerMetrics({ metrics, tasks: tasks.registry.names(), queues: [] });
  const broker = stack.use(countedBroker(io, counted));
  const context: Context = { call, tasks, broker, metrics, counted, screen, guard };
  const parts = stack.use(await openParts(context));
  const follower = new QueueFollower({
    ...{ broker, clock: io.clock, log: screen.log },
    makeConsumer: (queues) => parts.consumer(queues),
  });
  const live = (): readonly string[] => follower.consumers.flatMap(liveReasons);
  const ready = (): readonly string[] => (signal.aborted ? ['the process is on its way out'] : []);
  const http = stack.use(await serveOnAnyPort(call, probeRoutes({ live, ready, metrics })));
  collectCluster(metrics, broker, () => true);
  screen.tell({
    atMs: startedMs,
    event: 'started',
    version: VERSION,
    tasks: tasks.registry.names(),
    http: http.url,
  });

  const source = fileSource(context);
  await source.load();
  const board = new ScheduleBoard(({ key }) =>
    screen.tell({ atMs: io.clock.now(), event: 'unscheduled', schedule: key }),
  );
  const engine = scheduleEngine(context, source, board);
  screen.watch(() => statusText(board, follower.running, io.clock.now()));
  signal.addEventListener('abort', () => tellStop(context, changed(), follower.running), { once: true });
  await runTogether(shutdown, [
    (until) => engine.run(until),
    (until) => source.run(until),
    (until) => follower.run(until),
  ]);
  if (changed() === undefined) screen.summarise(startedMs);
  return guard.fatal ? EXIT.failure : EXIT.ok;
}

/** In memory: no call of it is worth timing. */
function countedBroker({ clock }: Io, counted: ConsumerMetrics): Broker {
  return new MeasuredBroker(createMemoryBroker({ clock }), clock, {
    answered: () => undefined,
    reconnected: () => undefined,
    enqueued: (queue, task, source) => counted.enqueued(queue, task, source),
    enqueueRefused: (queue, source) => counted.enqueueRefused(queue, source),
    refused: () => undefined,
  });
}

function openParts({
  call: { settings, io },
  tasks,
  broker,
  counted,
  screen,
  guard,
}: Context): Promise<WorkerParts> {
  const { log, tell } = screen;
  const observer = joinObservers(
    SILENT_OBSERVER,
    counted,
    consumerTeller(tell, () => io.clock.now()),
  );
  return WorkerParts.open({
    ...workerLimits(settings),
    ...{ tasks, broker, io, log, observer, poolObserver: counted },
    loopLag: new WatchedLoopLag({ log, observer, running: guard.running }),
  });
}

function fileSource({
  call: { settings, args: roots, io },
  tasks,
  broker,
  screen: { log, tell },
}: Context): FileSource {
  let wereProblems = false;
  // In production such a schedule fires as well, and its runs wait for a consumer that has the task: it is only told.
  const parse = (text: string, file: string): ParsedManifests => {
    const parsed = parseManifests(text, file, { defaultNamespace: settings.namespace });
    return { ...parsed, warnings: [...parsed.warnings, ...taskProblems(parsed.objects, tasks.registry)] };
  };
  return new FileSource({
    ...{ roots, broker, log, parse },
    clock: io.clock,
    install: INSTALL,
    code: codeObjects(tasks.registry, settings.namespace),
    onProblems: (problems, warnings) => {
      for (const problem of [...problems, ...warnings])
        tell({ atMs: io.clock.now(), event: 'problem', ...problem });
      const isMended = problems.length === 0 && (wereProblems || warnings.length === 0);
      if (isMended) tell({ atMs: io.clock.now(), event: 'mended' });
      wereProblems = problems.length > 0;
    },
  });
}

function scheduleEngine(
  { call: { io }, broker, metrics, screen: { log, tell } }: Context,
  source: FileSource,
  board: ScheduleBoard,
): ScheduleEngine {
  const teller = engineTeller(
    tell,
    () => io.clock.now(),
    (ref) => timingText(source, keyOf(ref)),
  );
  return new ScheduleEngine({
    ...{ source, broker, log },
    clock: io.clock,
    install: INSTALL,
    sink: board,
    observer: joinObservers(SILENT_ENGINE_OBSERVER, watchEngine(metrics, board), teller),
  });
}

function tellStop(
  { call: { io }, screen: { tell } }: Context,
  changed: string | undefined,
  running: number,
): void {
  const atMs = io.clock.now();
  if (changed === undefined) tell({ atMs, event: 'stopping', running });
  else tell({ atMs, event: 'restarting', file: changed });
}

function statusText(board: ScheduleBoard, running: number, nowMs: number): string {
  const next = board.next();
  const upcoming =
    next === undefined ? 'nothing is due' : `next: ${next.schedule} ${showRelative(next.atMs, nowMs)}`;
  return `${upcoming} · ${running === 0 ? 'nothing is running' : `${plural(running, 'run')} going on`} · Ctrl-C stops`;
}

function timingText(source: FileSource, key: ObjectKey): string {
  const spec = source.get(key)?.spec;
  if (spec === undefined || 'unreadable' in spec) return '';
  const timing = timingOf(spec);
  return timing.kind === 'timing' ? showSpec(timing.schedule.spec) : timing.message;
}

/** A port that nobody asked for by name must not keep a second `dev` from starting. */
async function serveOnAnyPort({ settings, given, io }: DevCall, routes: Routes): Promise<HttpServer> {
  const options = { host: settings.httpHost, port: settings.httpPort, routes, clock: io.clock };
  try {
    return await serveHttp(options);
  } catch (error) {
    if (given.has('http-port') || !(error instanceof TidemillError)) throw error;
    return serveHttp({ ...options, port: 0 });
  }
}
