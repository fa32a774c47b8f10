/** What a panel of the Grafana dashboard is, and the parts that its queries share. */

/** `queue` and `task` are chosen above the panels; `install` is the namespace that the controller is scraped in. */
export const QUEUES = 'namespace=~"$install", queue=~"$queue"';
export const OF_INSTALL = 'namespace=~"$install"';

type Unit = 's' | 'bytes' | 'short' | 'ops' | 'percentunit' | 'dateTimeFromNow';

interface Query {
  readonly expr: string;
  /** Grafana's own template over labels. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What it answers, and what to do when it looks bad. */
  readonly description: string;
  readonly kind: 'timeseries' | 'stat' | 'table';
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** From this value on it is red. */
  readonly alarm?: number;
  readonly stacked?: boolean;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export const perQueue = (metric: string): string => `max by (queue) (${metric}{${QUEUES}})`;
export const p99 = (metric: string, by: string, matchers = ''): string =>
  `histogram_quantile(0.99, sum by (le${by === '' ? '' : `, ${by}`}) (rate(${metric}_bucket{${matchers}}[$__rate_interval])))`;
