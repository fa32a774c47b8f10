/**
 * The metrics of a process, in a registry of their own. The only file that knows prom-client, of which it imports what it
 * uses: counters and gauges load in 5 ms, the whole with its push gateway, summaries and default metrics in 90.
 */
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Registry from 'prom-client/lib/registry.js';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';
import { CATALOGUE, type LabelName, type MetricName, type MetricOfType } from './catalogue.ts';
import { Collection, type Collector } from './collector.ts';
import { Histogram, type HistogramSeries } from './histogram.ts';
import { type Log, silentLog } from './log.ts';
import type { MetricDefinition } from './metric-definition.ts';
import { PendingSum } from './pending-sum.ts';

export type Labels<N extends MetricName> = Readonly<Record<LabelName<N>, string>>;

export interface CounterHandle<N extends MetricName> {
  /** Adds `by` (default 1). Adding 0 makes the series visible, so that `rate()` sees its first real increment. */
  add(labels: Labels<N>, by?: number): void;
  /** The series of these labels, for hot paths. Each call makes a new one that lives as long as the metrics: keep it. */
  bound(labels: Labels<N>): PendingSum;
}

export interface GaugeHandle<N extends MetricName> {
  set(labels: Labels<N>, value: number): void;
  add(labels: Labels<N>, by: number): void;
  /** As of a counter. Not for a series that is also `set` while it is in use: what is pending would be added to that. */
  bound(labels: Labels<N>): PendingSum;
}

export interface HistogramHandle<N extends MetricName> {
  observe(labels: Labels<N>, value: number): void;
  /** The series of these labels, for hot paths: keep it. It becomes visible with its first observation. */
  bound(labels: Labels<N>): Pick<HistogramSeries, 'observe'>;
  /** Makes the series visible before its first observation. */
  touch(labels: Labels<N>): void;
}

export interface MetricsOptions {
  readonly clock?: Pick<Clock, 'monotonic' | 'after'>;
  readonly log?: Log;
  /** Also the process and Node metrics, soon after the start and at the latest with the first scrape. Default true. */
  readonly defaults?: boolean;
  readonly build?: { readonly version: string; readonly commit?: string };
}

/** Gauges of prom-client that end in `_total`, which `promtool check metrics` rightly refuses; each has a twin by type without it. */
const MISNAMED = [
  ...['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'],
];

/** They are not needed at the start, and take a third of what loading all else of a consumer's libraries takes. */
const DEFAULTS_AFTER_MS = 1_000;

const COLLECTOR_UP = 'tidemill_collector_up';

export class Metrics {
  readonly #registry = new Registry();
  readonly #collections: Collection[] = [];
  readonly #pending: PendingSum[] = [];
  readonly #histograms = new Map<MetricName, Histogram>();
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #log: Log;
  readonly #wantsDefaults: boolean;
  #defaults: Promise<void> | undefined;

  constructor({ clock = systemClock, log = silentLog, defaults = true, build }: MetricsOptions = {}) {
    this.#clock = clock;
    this.#log = log;
    this.#wantsDefaults = defaults;
    if (defaults) this.#clock.after(DEFAULTS_AFTER_MS, () => void this.#addDefaults()).unref();
    const labels = {
      version: build?.version ?? 'unknown',
      commit: build?.commit ?? 'unknown',
      node_version: process.versions.node,
      tz_version: process.versions['tz'] ?? 'unknown',
    };
    if (build !== undefined) this.gauge('tidemill_build_info').set(labels, 1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The counter of that name: the same one each time. */
  counter<N extends MetricOfType<'counter'>>(name: N): CounterHandle<N> {
    const counter = this.#known(name, Counter) ?? new Counter(this.#configuration(name));
    const add = (labels: Labels<N>, by = 1): void => counter.inc(labels, by);
    return { add, bound: (labels) => this.#bind((by) => add(labels, by)) };
  }

  gauge<N extends MetricOfType<'gauge'>>(name: N): GaugeHandle<N> {
    const gauge = this.#gauge(name);
    const add = (labels: Labels<N>, by: number): void => gauge.inc(labels, by);
    return {
      set: (labels, value) => gauge.set(labels, value),
      add,
      bound: (labels) => this.#bind((by) => add(labels, by)),
    };
  }

  histogram<N extends MetricOfType<'histogram'>>(name: N): HistogramHandle<N> {
    const { help, labels, buckets } = CATALOGUE[name];
    const histogram = this.#histograms.get(name) ?? new Histogram({ name, help, labels, buckets });
    this.#histograms.set(name, histogram);
    return {
      observe: (values, value) => histogram.series(values).observe(value),
      bound: (values) => histogram.series(values),
      touch: (values) => histogram.series(values).touch(),
    };
  }

  /** Adds gauges that are read at scrape. A collector that fails or hangs costs its own families, never the scrape. */
  addCollector(collector: Collector): void {
    this.#collections.push(new Collection(collector, this.#clock));
    for (const family of collector.families) this.#clear(family);
  }

  /** The exposition text. Never rejects because of a collector. */
  async render(): Promise<string> {
    await this.#addDefaults();
    await Promise.all(this.#collections.map((collection) => this.#collect(collection)));
    for (const sum of this.#pending) sum.flush();
    const histograms = [...this.#histograms.values()].map((histogram) => histogram.render());
    return [await this.#registry.metrics(), ...histograms].join('\n');
  }

  /** Once, and nothing where they are not wanted. */
  #addDefaults(): Promise<void> {
    this.#defaults ??= this.#wantsDefaults ? addDefaults(this.#registry) : Promise.resolve();
    return this.#defaults;
  }

  #bind(handOn: (by: number) => void): PendingSum {
    const sum = new PendingSum(handOn);
    this.#pending.push(sum);
    return sum;
  }

  async #collect(collection: Collection): Promise<void> {
    const { name, families } = collection.collector;
    const up = this.gauge(COLLECTOR_UP);
    const result = await collection.read();
    // Labelled gauges keep every series they ever had: what is gone from the source must go from the scrape.
    for (const family of families) this.#clear(family);
    up.set({ collector: name }, result.kind === 'samples' ? 1 : 0);
    if (result.kind === 'samples') {
      for (const { family, labels, value } of result.samples) this.#gauge(family).set({ ...labels }, value);
    } else if (result.fresh) {
      this.#log.warn('metrics collector failed', { collector: name, reason: messageOf(result.error) });
    }
  }

  /** Drops every series, also the one of a gauge without labels, which `reset` would leave at 0. */
  #clear(name: MetricOfType<'gauge'>): void {
    const gauge = this.#gauge(name);
    gauge.reset();
    if (CATALOGUE[name].labels.length === 0) gauge.remove();
  }

  #gauge(name: MetricOfType<'gauge'>): Gauge {
    return this.#known(name, Gauge) ?? new Gauge(this.#configuration(name));
  }

  #known<T>(name: MetricName, kind: abstract new (...args: never[]) => T): T | undefined {
    const metric: unknown = this.#registry.getSingleMetric(name);
    return metric instanceof kind ? metric : undefined;
  }

  #configuration(name: MetricName): {
    name: string;
    help: string;
    labelNames: string[];
    registers: Registry[];
  } {
    const { help, labels }: MetricDefinition = CATALOGUE[name];
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

async function addDefaults(registry: Registry): Promise<void> {
  const { default: collectDefaultMetrics } = await import('prom-client/lib/defaultMetrics.js');
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
