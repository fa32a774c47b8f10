/** Controllers with the real engine, and consumers with the real loop, each in a process of its own. */
import type { Broker } from '../../src/broker/broker.ts';
import { Consumer } from '../../src/consumer/consumer.ts';
import { ScheduleEngine } from '../../src/controller/engine.ts';
import type { EngineTiming } from '../../src/controller/engine-context.ts';
import type { ObjectReport } from '../../src/controller/sink.ts';
import type { ObjectKey } from '../../src/resource/scheduled-object.ts';
import { type LoadedApp, openApp } from '../../src/task/app.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { CachedSource, type ObjectStore } from '../support/schedule-world.ts';
import type { Book } from './book.ts';
import type { SimulatedProcess } from './process.ts';
import { DRAIN_MS, INSTALL, IO_CONCURRENCY, LEASE_MS, QUEUE, SETTINGS } from './settings.ts';
import { type Bodies, manifestOf, registryOf } from './tasks.ts';
import type { Clock } from '../../src/runtime/clock.ts';

export interface ControllerActor {
  readonly process: SimulatedProcess;
  readonly source: CachedSource;
  readonly reports: ReadonlyMap<ObjectKey, ObjectReport>;
  /** It sees no change of any object. */
  isCutOff: boolean;
  /** Ends the links to what outlives the process. */
  readonly discard: () => void;
}

export function startController(
  process: SimulatedProcess,
  broker: Broker,
  store: ObjectStore,
  clock: Clock,
  timing: Partial<EngineTiming>,
): ControllerActor {
  const source = new CachedSource(store, clock);
  const reports = new Map<ObjectKey, ObjectReport>();
  const engine = new ScheduleEngine({
    ...{ source, broker, clock: process.clock, log: silentLog, install: INSTALL, timing },
    sink: {
      report: (report) => reports.set(report.object.key, report),
      gone: ({ key }) => reports.delete(key),
    },
  });
  void engine.run(new AbortController().signal);
  return {
    ...{ process, source, reports, isCutOff: false },
    discard: () => {
      source.cutOff = true;
      source.close();
    },
  };
}

export interface ConsumerActor {
  readonly process: SimulatedProcess;
  readonly stop: () => void;
  stoppedAtMs: number | undefined;
  endedAtMs: number | undefined;
}

let noApp: LoadedApp | undefined;

/** To be awaited once, before consumers are started. */
export async function prepareConsumers(): Promise<void> {
  noApp ??= await openApp(undefined, { log: silentLog });
}

export function startConsumer(
  process: SimulatedProcess,
  broker: Broker,
  { bodies, book, random }: { readonly bodies: Bodies; readonly book: Book; readonly random: () => number },
): ConsumerActor {
  if (noApp === undefined) throw new Error('prepareConsumers() was not called');
  const registry = registryOf(process, bodies);
  const stop = new AbortController();
  const consumer = new Consumer({
    ...{ broker, queues: [QUEUE], registry, app: noApp, manifest: manifestOf(registry), settings: SETTINGS },
    ...{ identity: { host: process.name, pid: 1, version: '0' }, clock: process.clock, log: silentLog },
    ...{ ioConcurrency: IO_CONCURRENCY, leaseMs: LEASE_MS, drainMs: DRAIN_MS, random },
  });
  const actor: ConsumerActor = {
    process,
    stop: () => {
      actor.stoppedAtMs = process.worldNowMs;
      stop.abort();
    },
    ...{ stoppedAtMs: undefined, endedAtMs: undefined },
  };
  process.onSend = (call, request) => {
    if (actor.stoppedAtMs !== undefined && call === 'cycle' && claimsRuns(request))
      book.breach('P6', `${process.name} sent a claim after it was told to stop`);
  };
  void consumer.run(stop.signal).then(() => (actor.endedAtMs = process.worldNowMs));
  return actor;
}

function claimsRuns(request: unknown): boolean {
  if (typeof request !== 'object' || request === null || !('claim' in request)) return false;
  const { claim } = request;
  return typeof claim === 'object' && claim !== null && Object.values(claim).some((slots) => slots !== 0);
}
