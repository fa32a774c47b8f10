/** The metrics of a process, in a registry of their own. The only file that knows prom-client. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';
import { CATALOGUE, type LabelName, type MetricName, type MetricOfType } from './catalogue.ts';
import { Collection, type Collector } from './collector.ts';
import { type Log, silentLog } from './log.ts';
import type { MetricDefinition } from './metric-definition.ts';

export type Labels<N extends MetricName> = Readonly<Record<LabelName<N>, string>>;

export interface CounterHandle<N extends MetricName> {
  /** Adds `by` (default 1). Adding 0 makes the series visible, so that `rate()` sees its first real increment. */
  add(labels: Labels<N>, by?: number): void;
}

export interface GaugeHandle<N extends MetricName> {
  set(labels: Labels<N>, value: number): void;
  add(labels: Labels<N>, by: number): void;
}

export interface HistogramHandle<N extends MetricName> {
  observe(labels: Labels<N>, value: number): void;
  /** Makes the series visible before its first observation. */
  touch(labels: Labels<N>): void;
}

export interface MetricsOptions {
  readonly clock?: Pick<Clock, 'monotonic' | 'after'>;
  readonly log?: Log;
  /** Also the process and Node metrics. Default true. */
  readonly defaults?: boolean;
  readonly build?: { readonly version: string; readonly commit?: string };
}

/** Gauges of prom-client that end in `_total`, which `promtool check metrics` rightly refuses; each has a twin by type without it. */
const MISNAMED = [
  ...['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'],
];

const COLLECTOR_UP = 'tidemill_collector_up';

export class Metrics {
  readonly #registry = new Registry();
  readonly #collections: Collection[] = [];
  readonly #clock: Pick<Clock, 'monotonic' | 'after'>;
  readonly #log: Log;

  constructor({ clock = systemClock, log = silentLog, defaults = true, build }: MetricsOptions = {}) {
    this.#clock = clock;
    this.#log = log;
    if (defaults) {
      collectDefaultMetrics({ register: this.#registry });
      for (const name of MISNAMED) this.#registry.removeSingleMetric(name);
    }
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
    return { add: (labels, by = 1) => counter.inc(labels, by) };
  }

  gauge<N extends MetricOfType<'gauge'>>(name: N): GaugeHandle<N> {
    const gauge = this.#gauge(name);
    return { set: (labels, value) => gauge.set(labels, value), add: (labels, by) => gauge.inc(labels, by) };
  }

  histogram<N extends MetricOfType<'histogram'>>(name: N): HistogramHandle<N> {
    const histogram =
      this.#known(name, Histogram) ??
      new Histogram({ ...this.#configuration(name), buckets: [...CATALOGUE[name].buckets] });
    return {
      observe: (labels, value) => histogram.observe(labels, value),
      touch: (labels) => histogram.zero(labels),
    };
  }

  /** Adds gauges that are read at scrape. A collector that fails or hangs costs its own families, never the scrape. */
  addCollector(collector: Collector): void {
    this.#collections.push(new Collection(collector, this.#clock));
    for (const family of collector.families) this.#clear(family);
  }

  /** The exposition text. Never rejects because of a collector. */
  async render(): Promise<string> {
    await Promise.all(this.#collections.map((collection) => this.#collect(collection)));
    return this.#registry.metrics();
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
