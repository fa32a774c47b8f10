/** What is said of a metric in the catalogue. */

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Which process exports a metric; `dev` is consumer and scheduler in one, and leads. */
export const EXPORTED_BY = {
  all: 'every process',
  consumer: 'consumer',
  engine: 'controller, scheduler',
  /** Of the whole cluster: exported by one process at a time, so that sums over replicas count it once. */
  leader: 'the leading controller or scheduler',
  controller: 'controller',
  scheduler: 'scheduler',
} as const;
export type MetricOwner = keyof typeof EXPORTED_BY;

export interface MetricDefinition {
  readonly type: MetricType;
  readonly labels: readonly string[];
  readonly help: string;
  readonly who: MetricOwner;
  /** Upper bounds; histograms only. At most 14: a scrape of many label sets blocks the loop. */
  readonly buckets?: readonly number[];
}
