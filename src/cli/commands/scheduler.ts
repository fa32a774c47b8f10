/** `tidemill scheduler`: fires schedules from files and code into Redis. Several may run; one works at a time. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { Broker } from '../../broker/broker.ts';
import { ScheduleEngine } from '../../controller/engine.ts';
import { FileSource } from '../../controller/file-source.ts';
import { LEADER_LEASE_MS, runAsLeader } from '../../controller/leader.ts';
import { SILENT_ENGINE_OBSERVER } from '../../controller/observer.ts';
import { probeRoutes } from '../../http/probes.ts';
import { scaleRoutes } from '../../http/scale.ts';
import { serveHttp } from '../../http/server.ts';
import { parseManifests } from '../../resource/manifest.ts';
import { ProblemsError, TidemillError } from '../../runtime/errors.ts';
import { watchSignals } from '../../runtime/shutdown.ts';
import { newIncarnation } from '../../task/ids.ts';
import { schedulerLeader } from '../../telemetry/engine-metrics.ts';
import { createLog, type Log } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { collectCluster } from '../cluster-gauges.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { connectBroker } from '../context.ts';
import { engineLog } from '../engine-log.ts';
import { watchEngine } from '../engine-watch.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { guardProcess } from '../guard.ts';
import { hangingReasons, notReadyReasons } from '../health.ts';
import { codeObjects } from '../manifests.ts';
import { joinObservers } from '../observers.ts';
import { QueuesFile } from '../queues-file.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { runTogether } from '../run-together.ts';
import { scaleReader } from '../scale-reader.ts';
import { ScheduleBoard } from '../schedule-board.ts';
import { SchedulerSettings } from '../settings.ts';
import { BUILD, VERSION } from '../version.ts';
import { loadTaskSet } from '../worker.ts';

const NoOptions = z.object({});
type SchedulerCall = Call<typeof SchedulerSettings, typeof NoOptions>;

export function addScheduler(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.scheduler,
      details:
        'Start as many as you like: one works, the others take over within 18 s of its death. Changed files are in force at once, by the one that works;\n' +
        'schedules whose file is gone are withdrawn. In a cluster the controller does this from ScheduledTask objects instead.',
      examples: [
        'tidemill scheduler schedules/ --redis redis://localhost:6379',
        'tidemill scheduler --tasks dist/tasks.js',
      ],
      settings: SchedulerSettings,
      rules: REDIS_RULES,
      options: NoOptions,
      jsonHelp: 'no effect: the log is JSON lines anyway',
      run: runScheduler,
    },
    surroundings,
  );
}

async function runScheduler(call: SchedulerCall): Promise<ExitCode> {
  const { settings, args: roots, io } = call;
  if (roots.length === 0 && settings.tasks === undefined) {
    throw new TidemillError(
      'USAGE',
      'there is nothing to schedule: name manifests, or --tasks with schedules in code',
    );
  }
  using shutdown = watchSignals();
  const log = createLog({ level: settings.logLevel, destination: io.stdout, clock: io.clock });
  const metrics = new Metrics({ clock: io.clock, log, build: BUILD });
  using guard = guardProcess({ log, metrics, onFatal: () => shutdown.stop('uncaught exception') });

  await using stack = new AsyncDisposableStack();
  const broker = stack.use(await connectBroker(settings, { io, log, metrics }));
  const holder = newIncarnation();
  const lock = `scheduler:${settings.install}`;
  const source = await openSource(call, broker, log, () => broker.holdLock(lock, holder, LEADER_LEASE_MS));
  const queues = settings.queuesFile === undefined ? undefined : new QueuesFile(settings.queuesFile, io);
  const board = new ScheduleBoard();
  let leading = false;
  const tellLeading = schedulerLeader(metrics);
  // What is true of all schedules only the leader tells, as in a controller.
  const observer = watchEngine(metrics, { readings: () => (leading ? board.readings() : []) });
  const engine = new ScheduleEngine({
    ...{ source, broker, log, install: settings.install, sink: board },
    clock: io.clock,
    ...(queues !== undefined && { allow: queues.policy }),
    observer: joinObservers(SILENT_ENGINE_OBSERVER, observer, engineLog(log)),
  });
  collectCluster(metrics, broker, () => leading);
  const live = (): readonly string[] => (leading ? hangingReasons(engine.health) : []);
  const routes = {
    ...probeRoutes({ live, ready: () => notReadyReasons(broker, shutdown.signal), metrics }),
    ...scaleRoutes(scaleReader(broker, io.clock)),
  };
  const http = stack.use(await serveHttp({ host: settings.httpHost, port: settings.httpPort, routes, log }));
  log.info('scheduler started', {
    version: VERSION,
    install: settings.install,
    schedules: source.list().length,
    redis: broker.description,
    http: http.url,
  });

  const onChange = (isLeader: boolean): void => {
    leading = isLeader;
    tellLeading(isLeader);
    // What was held back while another led is in force at once, not at the next look.
    if (isLeader) source.lookAgain();
  };
  await runTogether(shutdown, [
    (signal) => source.run(signal),
    async (signal) => queues?.run(signal, log, () => engine.reconsider()),
    (signal) =>
      runAsLeader({ broker, clock: io.clock, log, holder, lock, onChange }, signal, (term) =>
        engine.run(term),
      ),
  ]);
  log.info('scheduler stopped', {
    reason: guard.fatal ? 'uncaught exception' : String(shutdown.signal.reason),
  });
  return guard.fatal ? EXIT.failure : EXIT.ok;
}

/** @throws ProblemsError MANIFEST_INVALID: what is wrong at start is refused; what turns wrong later is reported and left out */
async function openSource(
  { settings, args: roots, io }: SchedulerCall,
  broker: Broker,
  log: Log,
  authority: () => Promise<boolean>,
): Promise<FileSource> {
  const tasks = settings.tasks === undefined ? undefined : await loadTaskSet(settings.tasks, io);
  let started = false;
  const source = new FileSource({
    ...{ roots, broker, log, authority },
    clock: io.clock,
    install: settings.install,
    code: tasks === undefined ? [] : codeObjects(tasks.registry, settings.namespace),
    parse: (text, file) => parseManifests(text, file, { defaultNamespace: settings.namespace }),
    onProblems: (problems, warnings) => {
      // At start they are all told at once, by the error that ends the process.
      if (!started) return;
      for (const { at, message } of problems) log.error('manifest is wrong', { at, problem: message });
      for (const { at, message } of warnings)
        log.warn('part of a manifest was left out', { at, advice: message });
      if (problems.length === 0) log.info('manifests are all valid again');
    },
  });
  const problems = await source.load();
  if (problems.length > 0)
    throw new ProblemsError('MANIFEST_INVALID', 'these manifests are wrong:', problems);
  started = true;
  return source;
}
