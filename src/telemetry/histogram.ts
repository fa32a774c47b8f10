/**
 * A histogram that is kept and written here, not by prom-client: that looks up series and bucket by text at each
 * observation, which cost a short run more than everything else that is counted about it.
 */

export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, ascending, without +Inf. */
  readonly buckets: readonly number[];
}

type LabelValues = Readonly<Record<string, string>>;

/** The observations of one set of labels. */
export class HistogramSeries {
  readonly labels: LabelValues;
  readonly #bounds: Float64Array;
  /** Not cumulative; the last is what is above every bound. */
  readonly #counts: Float64Array;
  #sum = 0;
  #visible = false;

  constructor(labels: LabelValues, buckets: readonly number[]) {
    this.labels = labels;
    this.#bounds = Float64Array.from(buckets);
    this.#counts = new Float64Array(buckets.length + 1);
  }

  get visible(): boolean {
    return this.#visible;
  }

  /** To be exported from now on, also before the first observation. */
  touch(): void {
    this.#visible = true;
  }

  /** @throws TypeError when the value is not finite: it would spoil the sum for good */
  observe(value: number): void {
    if (!Number.isFinite(value)) throw new TypeError(`a histogram takes finite numbers, not ${value}`);
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? this.#bounds.length : found;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
    this.#visible = true;
  }

  lines(name: string): string[] {
    const own = Object.entries(this.labels).map(([label, value]) => `${label}="${escapeValue(value)}"`);
    const labelled = (suffix: string, labels: readonly string[], value: number): string =>
      `${name}_${suffix}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${value}`;
    let total = 0;
    const buckets = [...this.#counts].map((count, index) => {
      total += count;
      return labelled('bucket', [`le="${this.#bounds[index] ?? '+Inf'}"`, ...own], total);
    });
    return [...buckets, labelled('sum', own, this.#sum), labelled('count', own, total)];
  }
}

export class Histogram {
  readonly #options: HistogramOptions;
  readonly #series = new Map<string, HistogramSeries>();

  constructor(options: HistogramOptions) {
    this.#options = options;
    // Without labels its one series is known.
    if (options.labels.length === 0) this.series({}).touch();
  }

  /** The series of these labels, the same one each time. It is exported once it was touched or has observed. */
  series(labels: LabelValues): HistogramSeries {
    const key = JSON.stringify(this.#options.labels.map((label) => labels[label]));
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const made = new HistogramSeries({ ...labels }, this.#options.buckets);
    this.#series.set(key, made);
    return made;
  }

  /** In the text format of Prometheus. */
  render(): string {
    const { name, help } = this.#options;
    const series = [...this.#series.values()].filter(({ visible }) => visible);
    const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} histogram`];
    return `${[...lines, ...series.flatMap((one) => one.lines(name))].join('\n')}\n`;
  }
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');
