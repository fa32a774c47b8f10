/** `tidemill consumer`: the worker process. Claims runs from its queues until it is told to stop. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { QueueSettings } from '../../broker/broker.ts';
import { WatchedLoopLag } from '../../consumer/loop-lag.ts';
import { type RunFinishedEvent, SILENT_OBSERVER } from '../../consumer/observer.ts';
import { probeRoutes } from '../../http/probes.ts';
import { serveHttp } from '../../http/server.ts';
import type { Clock } from '../../runtime/clock.ts';
import { IdleMemory } from '../../runtime/idle-memory.ts';
import { watchSignals } from '../../runtime/shutdown.ts';
import { consumerMetrics } from '../../telemetry/consumer-metrics.ts';
import { createLog, type Log } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { connectBroker } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { guardProcess } from '../guard.ts';
import { liveReasons, readyReasons } from '../health.ts';
import { joinObservers } from '../observers.ts';
import { CONSUMER_RULES, ConsumerSettings } from '../settings.ts';
import { BUILD, VERSION } from '../version.ts';
import { loadTaskSet, type TaskSet, workerLimits, WorkerParts } from '../worker.ts';

const NoOptions = z.object({});

export function addConsumer(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.consumer,
      details:
        'SIGTERM or Ctrl-C: no further run is claimed, running ones get --drain, the rest go back with no attempt used; then it exits 0.\n' +
        'A second signal ends it at once. Logs are JSON lines on stdout; /healthz, /readyz and /metrics are served on --http-port.',
      examples: [
        'tidemill consumer --tasks dist/tasks.js --redis redis://localhost:6379',
        'TIDEMILL_REDIS_URL_FILE=/run/secrets/redis-url tidemill consumer --tasks dist/tasks.js --queue reports,default',
      ],
      settings: ConsumerSettings,
      rules: CONSUMER_RULES,
      options: NoOptions,
      jsonHelp: 'no effect: the log is JSON lines anyway',
      run: runConsumer,
    },
    surroundings,
  );
}

/** Reading order is start order; the stack disposes in reverse: probes, then children and dependencies, then Redis. */
async function runConsumer({
  settings,
  io,
}: Call<typeof ConsumerSettings, typeof NoOptions>): Promise<ExitCode> {
  using shutdown = watchSignals();
  const log = createLog({ level: settings.logLevel, destination: io.stdout, clock: io.clock });
  const metrics = new Metrics({ clock: io.clock, log, build: BUILD });
  using guard = guardProcess({ log, metrics, onFatal: () => shutdown.stop('uncaught exception') });
  const tasks = await loadTaskSet(settings.tasks, io);
  warnOfSchedules(tasks, log);

  await using stack = new AsyncDisposableStack();
  const counted = consumerMetrics({ metrics, tasks: tasks.registry.names(), queues: settings.queues });
  const broker = stack.use(await connectBroker(settings, { io, log, metrics, counted }));
  const handedBack = new HandedBack();
  const firstClaim = new FirstClaim(io.clock);
  const memory = stack.use(
    new IdleMemory({
      clock: io.clock,
      failed: (err) => log.debug('memory is not given back while idle', { err }),
    }),
  );
  const observer = joinObservers(SILENT_OBSERVER, counted, handedBack, firstClaim, {
    claimed: ({ count }) => count > 0 && memory.worked(),
    settled: memory.worked,
  });
  const parts = stack.use(
    await WorkerParts.open({
      ...workerLimits(settings),
      ...{ tasks, broker, io, log, observer, poolObserver: counted, childrenAfter: firstClaim.answered },
      loopLag: new WatchedLoopLag({ log, observer, running: guard.running }),
      leaseMs: settings.lease,
      renewEveryMs: settings.heartbeat,
      settings: queueSettings(settings),
    }),
  );
  const consumer = parts.consumer(settings.queues);
  const http = stack.use(
    await serveHttp({
      host: settings.httpHost,
      port: settings.httpPort,
      routes: probeRoutes({
        live: () => liveReasons(consumer),
        ready: () => readyReasons(consumer, broker),
        metrics,
      }),
      log,
    }),
  );
  const { queues } = settings;
  log.info('consumer started', {
    version: VERSION,
    queues,
    tasks: tasks.registry.names(),
    redis: broker.description,
    http: http.url,
  });
  const end = await consumer.run(shutdown.signal);
  log.info('consumer stopped', {
    reason: guard.fatal ? 'uncaught exception' : end,
    handedBack: handedBack.runs,
  });
  return guard.fatal || end === 'leaked-slots' ? EXIT.failure : EXIT.ok;
}

/** Runs that did not end within their grace, and went back to the queue with no attempt used. */
class HandedBack {
  runs = 0;

  /** A property, as observers are called without `this`. */
  readonly runFinished = ({ outcome }: RunFinishedEvent): void => {
    if (outcome.kind === 'released') this.runs += 1;
  };
}

/** Tells when the first claim was answered and its runs have begun: before that, children would only be in the way. */
class FirstClaim {
  readonly answered: Promise<void>;
  readonly claimed: () => void;

  constructor(clock: Clock) {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.answered = promise.then(() => clock.sleep(0));
    this.claimed = () => resolve(undefined);
  }
}

function warnOfSchedules({ registry }: TaskSet, log: Log): void {
  const scheduled = registry.all().filter(({ schedules }) => schedules.length > 0);
  if (scheduled.length === 0) return;
  log.warn(
    'schedules in code are not in force in a consumer: apply them as objects (tidemill schedules export), or run tidemill scheduler',
    {
      tasks: scheduled.map(({ name }) => name),
    },
  );
}

function queueSettings(settings: z.output<typeof ConsumerSettings>): QueueSettings {
  return {
    retainSucceededMs: settings.retainSucceeded,
    retainSucceededBytes: settings.retainSucceededBytes,
    retainFailedMs: settings.retainFailed,
    retainFailedBytes: settings.retainFailedBytes,
    maxPending: settings.maxPending,
    maxPendingPerSchedule: settings.maxPendingPerSchedule,
    maxDeliveries: settings.maxDeliveries,
  };
}
