import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SILENT_OBSERVER, type ConsumerObserver } from '../../../src/consumer/observer.ts';
import type { PoolObserver } from '../../../src/consumer/children/observer.ts';
import { VirtualClock } from '../../../src/runtime/virtual-clock.ts';
import { DECISION_REASONS } from '../../../src/schedule/reasons.ts';
import { CATALOGUE } from '../../../src/telemetry/catalogue.ts';
import type { MetricDefinition } from '../../../src/telemetry/metric-definition.ts';
import { collectController, controllerMetrics } from '../../../src/telemetry/controller-metrics.ts';
import { type ConsumerMetrics, consumerMetrics } from '../../../src/telemetry/consumer-metrics.ts';
import {
  engineMetrics,
  schedulerLeader,
  type ScheduleReading,
} from '../../../src/telemetry/engine-metrics.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { queueCollector, type QueueReading } from '../../../src/telemetry/queue-collector.ts';
import { collectRedisMemory, redisMetrics } from '../../../src/telemetry/redis-metrics.ts';

/** `name{labels}` → value, of the lines of an exposition. */
function series(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line);
    if (match?.[1] !== undefined) found.set(match[1], Number(match[2]));
  }
  return found;
}

const queueReading = (queue: string): QueueReading => ({
  queue,
  pending: 3,
  delayed: 2,
  running: 1,
  retainedSucceeded: 5,
  retainedFailed: 4,
  retainedBytes: 1000,
  maxPending: 5000,
  paused: false,
  oldestPendingAgeMs: 1500,
  consumers: 2,
});
const readQueue = async (queue: string): Promise<QueueReading> => queueReading(queue);

function everything(): { metrics: Metrics; consumer: ConsumerMetrics } {
  const metrics = new Metrics({ defaults: false, build: { version: '1.2.3' } });
  const consumer = consumerMetrics({ metrics, tasks: ['fetch-data'], queues: ['default'] });
  const schedules: ScheduleReading[] = [
    {
      namespace: 'team-a',
      name: 'nightly',
      state: 'active',
      nextMs: 2_000,
      lastSuccessMs: 1_000,
      lastFailureMs: 500,
    },
  ];
  const engine = engineMetrics({ metrics, reasons: DECISION_REASONS, schedules: () => schedules });
  engine.decided({ namespace: 'team-a', task: 'fetch-data', outcome: 'fired', lagMs: 20 });
  metrics.addCollector(queueCollector(async () => ['default'], readQueue));
  redisMetrics(metrics, () => true).answered('claim', 2);
  collectRedisMemory(metrics, async () => ({ usedBytes: 1, maxBytes: 2 }));
  schedulerLeader(metrics)(true);
  metrics.counter('tidemill_uncaught_errors_total').add({ kind: 'rejection' }, 0);
  consumer.enqueued('default', 'fetch-data', 'task');
  consumer.runStarted({ queue: 'default', task: 'fetch-data', executor: 'io', waitMs: 5 });
  consumer.slots({ executor: 'io', total: 100 });
  controllerEverything(metrics);
  return { metrics, consumer };
}

function controllerEverything(metrics: Metrics): void {
  const controller = controllerMetrics({
    metrics,
    lease: 'tidemill-controller',
    maxConcurrentReconciles: 200,
    eventReasons: ['Suspended'],
  });
  collectController(metrics, {
    health: () => ({ backlog: 3, processingMs: [10, 30] }),
    waiting: () => ({ urgent: 1, refresh: 2 }),
    informers: () => [{ namespace: '', synced: true, lastEventMs: 1_000 }],
  });
  controller.turned({ reconciled: 2, durationMs: 4 });
  controller.keyTaken(1);
  controller.keyDone(2);
  controller.requested({ method: 'GET', host: 'api:6443', code: undefined, durationMs: 3 });
  controller.informerRestarted('silence');
  controller.statusWritten('urgent', 'applied');
  controller.event('Suspended', 'written');
}

describe('metrics', () => {
  test('what is exported is what the catalogue says, name, type, labels and help', async () => {
    const { metrics, consumer } = everything();
    consumer.runFinished({
      queue: 'default',
      task: 'fetch-data',
      executor: 'io',
      waitMs: 5,
      durationMs: 9,
      outcome: { kind: 'succeeded' },
    });
    const text = await metrics.render();
    const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((match) => [match[1], match[2]]));
    assert.deepEqual([...types.keys()].sort(), Object.keys(CATALOGUE).sort());
    for (const [name, definition] of Object.entries<MetricDefinition>(CATALOGUE)) {
      assert.equal(types.get(name), definition.type, name);
      assert.ok(text.includes(`# HELP ${name} ${definition.help}\n`), name);
      const sample = [...series(text).keys()].find(
        (key) => key === name || key.startsWith(`${name}{`) || key.startsWith(`${name}_count`),
      );
      assert.ok(sample !== undefined, `no series of ${name}`);
      const labels = [...sample.matchAll(/([a-z_]+)="/g)].map((match) => match[1] ?? '');
      assert.deepEqual(labels.sort(), [...definition.labels].sort(), sample);
    }
  });

  test('names keep to the rules: counters end in _total, nothing else does, histograms have at most 14 buckets', () => {
    for (const [name, definition] of Object.entries<MetricDefinition>(CATALOGUE)) {
      // Names of client-go and controller-runtime are taken over as they are: the dashboards of other operators know them.
      assert.match(name, /^(tidemill|controller_runtime|workqueue|rest_client|leader_election)_[a-z_]+$/);
      assert.equal(name.endsWith('_total'), definition.type === 'counter', name);
      assert.ok((definition.buckets?.length ?? 0) <= 14, name);
      assert.equal(definition.buckets !== undefined, definition.type === 'histogram', name);
    }
  });

  test('two registries do not share series', async () => {
    everything();
    const { metrics } = everything();
    assert.equal(
      series(await metrics.render()).get('tidemill_runs_started_total{queue="default",task="fetch-data"}'),
      1,
    );
  });

  test('the process and Node metrics are there', async () => {
    const text = await new Metrics().render();
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
    assert.match(text, /^process_resident_memory_bytes /m);
  });
});

describe('consumer metrics', () => {
  test('they can watch a consumer and a pool of children', () => {
    const { consumer } = everything();
    const observer: ConsumerObserver & PoolObserver = { ...SILENT_OBSERVER, ...consumer };
    observer.leaseRenewal('ok');
  });

  test('every series of the known tasks and queues stands at 0 before anything happens', async () => {
    const metrics = new Metrics({ defaults: false });
    consumerMetrics({ metrics, tasks: ['a'], queues: ['q'] });
    const found = series(await metrics.render());
    assert.equal(found.get('tidemill_runs_started_total{queue="q",task="a"}'), 0);
    assert.equal(found.get('tidemill_runs_finished_total{queue="q",task="a",outcome="retry"}'), 0);
    assert.equal(found.get('tidemill_run_failures_total{task="a",reason="Timeout"}'), 0);
    assert.equal(found.get('tidemill_lease_renewals_total{result="lost"}'), 0);
    assert.equal(found.get('tidemill_child_exits_total{reason="died"}'), 0);
  });

  test('an attempt is counted, timed and no longer active when it ends', async () => {
    const { metrics, consumer } = everything();
    const event = { queue: 'default', task: 'fetch-data', executor: 'io', waitMs: 5 } as const;
    consumer.runFinished({
      ...event,
      durationMs: 40,
      outcome: { kind: 'retry', error: { reason: 'Timeout' } },
    });
    const found = series(await metrics.render());
    assert.equal(
      found.get('tidemill_runs_finished_total{queue="default",task="fetch-data",outcome="retry"}'),
      1,
    );
    assert.equal(found.get('tidemill_run_failures_total{task="fetch-data",reason="Timeout"}'), 1);
    assert.equal(
      found.get('tidemill_run_duration_seconds_bucket{le="0.05",task="fetch-data",executor="io"}'),
      1,
    );
    assert.equal(found.get('tidemill_runs_active{queue="default",executor="io"}'), 0);
  });

  test('runs that nobody claimed in time, and runs that a full queue refused, are counted', async () => {
    const metrics = new Metrics({ defaults: false });
    const consumer = consumerMetrics({ metrics, tasks: ['a'], queues: ['q'] });
    const names = [
      'tidemill_runs_expired_total{queue="q"}',
      'tidemill_enqueue_refusals_total{queue="q",source="task"}',
    ];
    const before = series(await metrics.render());
    assert.deepEqual(
      names.map((name) => before.get(name)),
      [0, 0],
    );
    consumer.promoted({ queue: 'q', expired: 4 });
    consumer.enqueueRefused('q', 'task');
    const found = series(await metrics.render());
    assert.deepEqual(
      names.map((name) => found.get(name)),
      [4, 1],
    );
  });

  test('100,000 hostile task and queue names add no series beyond the cap', async () => {
    const { metrics, consumer } = everything();
    for (let i = 0; i < 100_000; i++) {
      const event = { queue: `queue-${i}`, task: `evil"} ${i}\n`, executor: 'io', waitMs: 1 } as const;
      consumer.runStarted(event);
      consumer.runFinished({ ...event, durationMs: 1, outcome: { kind: 'succeeded' } });
    }
    const found = series(await metrics.render());
    assert.ok(found.size < 3_000, String(found.size));
    assert.ok(![...found.keys()].some((key) => key.includes('evil')));
    const others = 100_000 - 99; // `default` is the first of the 100 queues
    const overflow = [
      'tidemill_runs_started_total{queue="other",task="other"}',
      'tidemill_runs_finished_total{queue="other",task="other",outcome="succeeded"}',
      'tidemill_run_wait_seconds_count{queue="other"}',
      'tidemill_runs_active{queue="other",executor="io"}',
    ];
    assert.deepEqual(
      overflow.map((name) => found.get(name)),
      [others, others, others, 0],
    );
  });

  test('scrapes count what happened between them once, and show what rose and fell again', async () => {
    const metrics = new Metrics({ defaults: false });
    const consumer = consumerMetrics({ metrics, tasks: ['a'], queues: [] });
    const event = { queue: 'q', task: 'a', executor: 'io', waitMs: 1 } as const;
    const scrape = async (): Promise<readonly (number | undefined)[]> => {
      const found = series(await metrics.render());
      return [
        found.get('tidemill_runs_started_total{queue="q",task="a"}'),
        found.get('tidemill_runs_finished_total{queue="q",task="a",outcome="succeeded"}'),
        found.get('tidemill_runs_active{queue="q",executor="io"}'),
      ];
    };
    const run = (): void => {
      consumer.runStarted(event);
      consumer.runFinished({ ...event, durationMs: 1, outcome: { kind: 'succeeded' } });
    };
    assert.deepEqual(await scrape(), [undefined, undefined, undefined]);
    run();
    assert.deepEqual(await scrape(), [1, 1, 0]);
    assert.deepEqual(await scrape(), [1, 1, 0]);
    run();
    consumer.runStarted(event);
    assert.deepEqual(await scrape(), [3, 2, 1]);
  });

  test('the limit of concurrency follows each executor', async () => {
    const metrics = new Metrics({ defaults: false });
    const consumer = consumerMetrics({ metrics, tasks: [], queues: [] });
    for (const total of [100, 100, 50]) consumer.slots({ executor: 'io', total });
    consumer.slots({ executor: 'cpu', total: 2 });
    const found = series(await metrics.render());
    assert.equal(found.get('tidemill_concurrency_limit{executor="io"}'), 50);
    assert.equal(found.get('tidemill_concurrency_limit{executor="cpu"}'), 2);
  });
});

describe('engine metrics', () => {
  test('a decision is counted with its reason, and reasons outside the list as other', async () => {
    const metrics = new Metrics({ defaults: false });
    const engine = engineMetrics({ metrics, reasons: DECISION_REASONS, schedules: () => [] });
    engine.scheduleKnown({ queue: 'q', namespace: 'n', task: 't' });
    engine.decided({ namespace: 'n', task: 't', outcome: 'missed', reason: 'Superseded', count: 12 });
    engine.decided({ namespace: 'n', task: 't', outcome: 'skipped', reason: 'Made up' });
    const found = series(await metrics.render());
    assert.equal(found.get('tidemill_schedule_fires_total{namespace="n",task="t",outcome="missed"}'), 12);
    assert.equal(found.get('tidemill_schedule_fires_total{namespace="n",task="t",outcome="fired"}'), 0);
    assert.equal(found.get('tidemill_schedule_reasons_total{reason="Superseded"}'), 12);
    assert.equal(found.get('tidemill_schedule_reasons_total{reason="other"}'), 1);
  });

  test('a slot that a full queue did not take counts as a refused enqueue of that queue, others do not', async () => {
    const metrics = new Metrics({ defaults: false });
    const engine = engineMetrics({ metrics, reasons: DECISION_REASONS, schedules: () => [] });
    const event = { queue: 'q', namespace: 'n', task: 't' };
    engine.scheduleKnown(event);
    assert.equal(
      series(await metrics.render()).get('tidemill_enqueue_refusals_total{queue="q",source="schedule"}'),
      0,
    );
    engine.decided({ ...event, outcome: 'skipped', reason: 'Backlog', count: 3 });
    engine.decided({ ...event, outcome: 'skipped', reason: 'Overlap' });
    const found = series(await metrics.render());
    assert.equal(found.get('tidemill_enqueue_refusals_total{queue="q",source="schedule"}'), 3);
    assert.equal(found.get('tidemill_enqueued_total{queue="q",task="t",source="schedule"}'), 0);
  });

  test('above 1,000 schedules there are no series by schedule, and the states are still counted', async () => {
    const metrics = new Metrics({ defaults: false });
    const schedules = Array.from({ length: 1_001 }, (_, i) => ({
      namespace: 'n',
      name: `s-${i}`,
      state: 'active' as const,
      nextMs: 1,
      lastSuccessMs: undefined,
      lastFailureMs: undefined,
    }));
    engineMetrics({ metrics, reasons: DECISION_REASONS, schedules: () => schedules });
    const found = series(await metrics.render());
    assert.equal(found.get('tidemill_schedules{namespace="n",state="active"}'), 1_001);
    assert.ok(![...found.keys()].some((key) => key.includes('schedule="')));
  });
});

describe('collectors', () => {
  test('a gauge without labels of which nothing is told is absent, not 0', async () => {
    const clock = new VirtualClock();
    const metrics = new Metrics({ clock, defaults: false });
    let use: { usedBytes: number; maxBytes: number } | undefined;
    collectRedisMemory(metrics, async () => use);
    const found = async (): Promise<number | undefined> =>
      series(await metrics.render()).get('tidemill_redis_memory_used_bytes');
    assert.equal(await found(), undefined);
    use = { usedBytes: 5, maxBytes: 0 };
    await clock.advanceBy(1_001);
    assert.equal(await found(), 5);
    use = undefined;
    await clock.advanceBy(1_001);
    assert.equal(await found(), undefined);
  });

  test('the first 100 queues are read and have series, and no queue stands for several', async () => {
    const metrics = new Metrics({ defaults: false });
    let reads = 0;
    metrics.addCollector(
      queueCollector(
        async () => Array.from({ length: 150 }, (_, index) => `q-${index}`),
        async (queue) => {
          reads += 1;
          return queueReading(queue);
        },
      ),
    );
    const consumers = [...series(await metrics.render()).keys()].filter((key) =>
      key.startsWith('tidemill_consumers'),
    );
    assert.equal(consumers.length, 100);
    assert.equal(reads, 100);
    assert.ok(!consumers.includes('tidemill_consumers{queue="other"}'));
  });

  test('a queue that is gone from the source is gone from the scrape', async () => {
    const clock = new VirtualClock();
    const metrics = new Metrics({ clock, defaults: false });
    let queues = ['a', 'b'];
    metrics.addCollector(queueCollector(async () => queues, readQueue));
    assert.match(await metrics.render(), /tidemill_queue_depth\{queue="b",state="pending"\} 3/);
    queues = ['a'];
    await clock.advanceBy(1_001);
    const text = await metrics.render();
    assert.doesNotMatch(text, /queue="b"/);
    assert.match(text, /tidemill_queue_oldest_age_seconds\{queue="a"\} 1.5/);
  });

  test('a collector that rejects costs its own families and says so, not the scrape', async () => {
    const clock = new VirtualClock();
    const metrics = new Metrics({ clock, defaults: false, build: { version: '1' } });
    let broken = false;
    metrics.addCollector(
      queueCollector(async () => {
        if (broken) throw new Error('redis is away');
        return ['a'];
      }, readQueue),
    );
    assert.match(await metrics.render(), /tidemill_collector_up\{collector="queues"\} 1/);
    broken = true;
    await clock.advanceBy(1_001);
    const text = await metrics.render();
    assert.match(text, /tidemill_collector_up\{collector="queues"\} 0/);
    assert.match(text, /tidemill_build_info/);
    assert.doesNotMatch(text, /queue="a"/, 'an old depth must not look like a new one');
  });

  test('scrapes at the same time, or within a second, read once', async () => {
    const clock = new VirtualClock();
    const metrics = new Metrics({ clock, defaults: false });
    let reads = 0;
    metrics.addCollector(
      queueCollector(async () => {
        reads += 1;
        return ['a'];
      }, readQueue),
    );
    await Promise.all([metrics.render(), metrics.render(), metrics.render()]);
    await metrics.render();
    assert.equal(reads, 1);
    await clock.advanceBy(1_001);
    await metrics.render();
    assert.equal(reads, 2);
  });

  test('a collector that hangs is given up after 2 s, and is asked once however often we are scraped', async () => {
    const clock = new VirtualClock();
    const metrics = new Metrics({ clock, defaults: false });
    let reads = 0;
    metrics.addCollector(
      queueCollector(() => {
        reads += 1;
        return new Promise(() => undefined);
      }, readQueue),
    );
    for (let scrape = 0; scrape < 3; scrape++) {
      const rendering = metrics.render();
      await clock.advanceBy(2_000);
      assert.match(await rendering, /tidemill_collector_up\{collector="queues"\} 0/);
    }
    assert.equal(reads, 1);
  });
});
