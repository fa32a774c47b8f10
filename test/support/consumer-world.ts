/** Consumers on a memory broker and a virtual clock, with everything that happens to their runs written down. */
import { Consumer, type ConsumerEnd, type ConsumerOptions } from '../../src/consumer/consumer.ts';
import {
  type ConsumerObserver,
  type RunFinishedEvent,
  SILENT_OBSERVER,
} from '../../src/consumer/observer.ts';
import { type Broker, DEFAULT_QUEUE_SETTINGS } from '../../src/broker/broker.ts';
import { createMemoryBroker } from '../../src/broker/memory/memory-broker.ts';
import { VirtualClock } from '../../src/runtime/virtual-clock.ts';
import { openApp } from '../../src/task/app.ts';
import { buildManifest } from '../../src/task/build-manifest.ts';
import { TaskRegistry } from '../../src/task/registry.ts';
import type { RunRequest } from '../../src/task/request.ts';
import type { AnyTask } from '../../src/task/types.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { FaultyBroker } from './faulty-broker.ts';

export interface Recording extends ConsumerObserver {
  readonly finished: RunFinishedEvent[];
  readonly lost: string[];
  readonly deadLetters: { readonly runId: string; readonly reason: string }[];
  readonly leaks: string[];
  readonly answers: Record<string, number>;
}

export function record(): Recording {
  const finished: RunFinishedEvent[] = [];
  const lost: string[] = [];
  const deadLetters: { runId: string; reason: string }[] = [];
  const leaks: string[] = [];
  const answers: Record<string, number> = {};
  return {
    ...SILENT_OBSERVER,
    ...{ finished, lost, deadLetters, leaks, answers },
    runFinished: (event) => finished.push(event),
    leaseLost: (event) => lost.push(event.runId),
    deadLettered: ({ runId, reason }) => deadLetters.push({ runId, reason }),
    slotLeaked: (event) => leaks.push(event.runId),
    settled: ({ answer, count }) => {
      answers[answer] = (answers[answer] ?? 0) + count;
    },
  };
}

export interface RunningConsumer {
  readonly consumer: Consumer;
  readonly seen: Recording;
  /** Sends the stop signal. */
  readonly stop: () => void;
  readonly ended: Promise<ConsumerEnd>;
}

type Overrides = Partial<Omit<ConsumerOptions, 'observer' | 'manifest' | 'registry'>> & {
  readonly tasks?: readonly AnyTask[];
};

export class ConsumerWorld implements AsyncDisposable {
  readonly clock = new VirtualClock(Date.UTC(2026, 0, 1));
  readonly broker: FaultyBroker;
  readonly #tasks: readonly AnyTask[];
  readonly #running: RunningConsumer[] = [];
  #ids = 0;

  constructor(tasks: readonly AnyTask[]) {
    this.#tasks = tasks;
    const memory: Broker = createMemoryBroker({ clock: this.clock });
    this.broker = new FaultyBroker(memory, this.clock);
  }

  async start(overrides: Overrides = {}): Promise<RunningConsumer> {
    const { tasks = this.#tasks, ...options } = overrides;
    const registry = new TaskRegistry(tasks);
    const seen = record();
    const stop = new AbortController();
    const consumer = new Consumer({
      broker: this.broker,
      queues: ['default'],
      registry,
      app: await openApp(undefined, { log: silentLog }),
      manifest: buildManifest(registry, 1),
      settings: DEFAULT_QUEUE_SETTINGS,
      identity: { host: 'test', pid: 1, version: '0' },
      clock: this.clock,
      log: silentLog,
      drainMs: 5_000,
      random: () => 0.5,
      ...options,
      observer: seen,
    });
    const running = { consumer, seen, stop: () => stop.abort(), ended: consumer.run(stop.signal) };
    this.#running.push(running);
    await this.clock.advanceBy(100);
    return running;
  }

  /** Enqueues runs of one task; the ids are `r1`, `r2` … */
  async enqueue(
    task: string,
    count = 1,
    more: Partial<RunRequest> & { readonly queue?: string } = {},
  ): Promise<string[]> {
    const { queue = 'default', ...rest } = more;
    const requests = Array.from({ length: count }, (): RunRequest => {
      this.#ids += 1;
      return {
        id: `r${this.#ids}`,
        task,
        priority: 'medium',
        params: '{}',
        options: { source: 'api' },
        ...rest,
      };
    });
    await this.broker.queue(queue).runs.enqueue(requests);
    return requests.map(({ id }) => id);
  }

  async stateOf(id: string, queue = 'default'): Promise<string | undefined> {
    return (await this.broker.queue(queue).runs.get(id))?.state;
  }

  /** States of all `ids`, counted. */
  async states(ids: readonly string[], queue = 'default'): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const id of ids) {
      const state = (await this.stateOf(id, queue)) ?? 'unknown';
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  }

  /** Advances time in steps until `holds`, at most `maxMs`. */
  async until(holds: () => boolean | Promise<boolean>, maxMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < maxMs; passedMs += 100) {
      if (await holds()) return;
      await this.clock.advanceBy(100);
    }
    if (!(await holds())) throw new Error(`not so within ${maxMs} ms of virtual time`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.broker.plan = () => undefined;
    for (const { stop } of this.#running) stop();
    let ended = false;
    void Promise.allSettled(this.#running.map((running) => running.ended)).then(() => (ended = true));
    while (!ended) await this.clock.advanceBy(1_000);
  }
}
