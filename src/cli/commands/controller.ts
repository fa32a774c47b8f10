/** `tidemill controller`: fires the ScheduledTask objects of a cluster into Redis, and tells in their status what became of them. */
import type { Command } from 'commander';
import { z } from 'zod';
import { defaultQueuePolicy } from '../../controller/tenancy.ts';
import { probeRoutes } from '../../http/probes.ts';
import { scaleRoutes } from '../../http/scale.ts';
import { serveHttp } from '../../http/server.ts';
import { watchSignals } from '../../runtime/shutdown.ts';
import { DEFAULT_QUEUE } from '../../task/names.ts';
import { createLog } from '../../telemetry/log.ts';
import { Metrics } from '../../telemetry/metrics.ts';
import { addCommand, type Call, type Surroundings } from '../command.ts';
import { HEADS } from '../command-heads.ts';
import { connectBroker } from '../context.ts';
import { assembleController } from '../controller-parts.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { guardProcess } from '../guard.ts';
import { notReadyReasons } from '../health.ts';
import { QueuesFile } from '../queues-file.ts';
import { REDIS_RULES } from '../redis-settings.ts';
import { runTogether } from '../run-together.ts';
import { scaleReader } from '../scale-reader.ts';
import { ControllerSettings } from '../settings.ts';
import { BUILD, VERSION } from '../version.ts';

const NoOptions = z.object({});
type ControllerCall = Call<typeof ControllerSettings, typeof NoOptions>;

export function addController(program: Command, surroundings: Surroundings): void {
  addCommand(
    program,
    {
      ...HEADS.controller,
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
  const log = createLog({ level: settings.logLevel, destination: io.stdout, clock: io.clock });
  const metrics = new Metrics({ clock: io.clock, log, build: BUILD });
  using guard = guardProcess({ log, metrics, onFatal: () => shutdown.stop('uncaught exception') });

  await using stack = new AsyncDisposableStack();
  const queues = settings.queuesFile === undefined ? undefined : new QueuesFile(settings.queuesFile, io);
  const broker = stack.use(await connectBroker(settings, { io, log, metrics }));
  const openCluster = await loadCluster();
  const parts = stack.use(
    assembleController({
      ...{ io, log, metrics, broker, install: settings.install, lease: settings.leaseName },
      openCluster: (watch) => openCluster(settings, { io, log, watch }),
      allow: (namespace) => queues?.policy ?? defaultQueuePolicy(namespace),
    }),
  );
  const { informer, server, identity, namespace } = parts.cluster;
  const ready = (): readonly string[] => [
    ...notReadyReasons(broker, shutdown.signal),
    ...(informer.synced ? [] : ['the objects of the cluster have not been listed yet']),
  ];
  const routes = {
    ...probeRoutes({ live: () => parts.live(), ready, metrics }),
    ...scaleRoutes(scaleReader(broker, io.clock)),
  };
  const http = stack.use(await serveHttp({ host: settings.httpHost, port: settings.httpPort, routes, log }));
  log.info('controller started', {
    ...{ version: VERSION, install: settings.install, identity, server },
    namespaces: settings.watchNamespaces ?? 'all',
    queues: settings.queuesFile ?? `${DEFAULT_QUEUE}, for namespace ${namespace}`,
    redis: broker.description,
    http: http.url,
  });
  await runTogether(shutdown, [
    (signal) => informer.run(signal),
    async (signal) => queues?.run(signal, log, () => parts.engine.reconsider()),
    // Who lost the Lease writes nothing more; who is told to stop still writes what people wait for.
    (signal) => parts.lead(signal, () => shutdown.signal.aborted),
  ]);
  log.info('controller stopped', {
    reason: guard.fatal ? 'uncaught exception' : String(shutdown.signal.reason),
  });
  return guard.fatal ? EXIT.failure : EXIT.ok;
}
