/** What is said of a metric in the catalogue. */

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Which process exports a metric; `dev` is consumer and scheduler in one, and a controller exports what a scheduler does. */
export type MetricOwner = 'all' | 'consumer' | 'scheduler' | 'controller';

export interface MetricDefinition {
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly help: string;
  readonly who: MetricOwner;
  /** Upper bounds; histograms only. At most 14: a scrape of many label sets blocks the loop. */
  readonly buckets?: readonly number[];
}
