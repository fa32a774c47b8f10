/** A controller in this process: a real informer, status writer and event writer, with exactly its documented rights, over a broker in memory. */
import type { Broker } from '../../../src/broker/broker.ts';
import { createMemoryBroker } from '../../../src/broker/memory/memory-broker.ts';
import { ScheduleEngine } from '../../../src/controller/engine.ts';
import { EventRecorder } from '../../../src/controller/event-recorder.ts';
import { SILENT_ENGINE_OBSERVER } from '../../../src/controller/observer.ts';
import { StatusReporter } from '../../../src/controller/status-reporter.ts';
import type { QueuePolicy } from '../../../src/controller/verdict.ts';
import { connectKube } from '../../../src/kube/connect.ts';
import { KubeEventStore } from '../../../src/kube/event-api.ts';
import { ScheduledTaskInformer } from '../../../src/kube/informer.ts';
import { ScheduledTasksApi } from '../../../src/kube/scheduled-tasks.ts';
import { KubeStatusStore } from '../../../src/kube/status-api.ts';
import { systemClock as clock } from '../../../src/runtime/clock.ts';
import { silentLog as log } from '../../../src/telemetry/log.ts';

export interface InProcessController extends AsyncDisposable {
  readonly broker: Broker;
  /** Status writes so far, with their lane and outcome. */
  readonly writes: readonly string[];
}

export interface InProcessOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly broker?: Broker;
  readonly allow?: QueuePolicy;
}

export function startInProcess(options: InProcessOptions): InProcessController {
  const { kubeconfig, namespace, broker = createMemoryBroker({ clock }), allow } = options;
  const connection = connectKube({ kubeconfig, clock });
  const source = new ScheduledTaskInformer({ connection, namespaces: [namespace], clock, log });
  const writes: string[] = [];
  const tasks = new ScheduledTasksApi(connection, { patient: false });
  const reporter = new StatusReporter({
    ...{ source, clock, log, store: new KubeStatusStore({ tasks, clock, log }) },
    observer: { wrote: ({ lane, outcome }) => writes.push(`${lane} ${outcome}`) },
  });
  const recorder = new EventRecorder({
    ...{ clock, log, store: new KubeEventStore({ connection, clock, instance: 'controller-0' }) },
  });
  const engine = new ScheduleEngine({
    ...{ source, broker, clock, log, install: namespace },
    ...(allow !== undefined && { allow }),
    sink: {
      report: (report) => {
        reporter.report(report);
        recorder.report(report);
      },
      gone: (object) => {
        reporter.gone(object);
        recorder.gone(object);
      },
    },
    observer: { ...SILENT_ENGINE_OBSERVER, ...recorder.observer },
  });
  const stop = new AbortController();
  const parts = [reporter.run(stop.signal), recorder.run(stop.signal), source.run(stop.signal)];
  const running = Promise.all([...parts, source.onSynced().then(() => engine.run(stop.signal))]);
  return {
    broker,
    writes,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await connection[Symbol.asyncDispose]();
    },
  };
}

/** A ScheduledTask as a user applies it. */
export function scheduledTask(
  name: string,
  spec: Readonly<Record<string, unknown>>,
  metadata: object = {},
): string {
  return JSON.stringify({
    apiVersion: 'tidemill.dev/v1alpha1',
    kind: 'ScheduledTask',
    metadata: { name, ...metadata },
    spec: { task: 'tick', ...spec },
  });
}
