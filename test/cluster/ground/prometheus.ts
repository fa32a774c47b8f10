/** A Prometheus on the node's address, which sees the pods of the cluster as one inside it would. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ManagedProcess } from '../../control-plane/managed-process.ts';
import type { Cluster } from './cluster.ts';
import { managedInside } from './servers.ts';

export { podsOf } from './pod-targets.ts';

export interface PrometheusOptions {
  /** Paths. Default none. */
  readonly ruleFiles?: readonly string[];
  /** `scrape_configs`, such as `podsOf(…)` or static targets. */
  readonly scrape: readonly object[];
  /** Default 1 s. */
  readonly scrapeIntervalMs?: number;
}

/** A time and a value, which may be `NaN`. */
const Point = z.tuple([z.number(), z.string().transform(Number)]);
const Answer = z.object({
  data: z.discriminatedUnion('resultType', [
    z.object({ resultType: z.literal('scalar'), result: Point }),
    z.object({
      resultType: z.literal('vector'),
      result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: Point })),
    }),
  ]),
});

/** One series of an answer. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class Prometheus {
  readonly process: ManagedProcess;
  readonly #cluster: Cluster;
  readonly #port: number;

  constructor(cluster: Cluster, process: ManagedProcess, port: number) {
    this.#cluster = cluster;
    this.process = process;
    this.#port = port;
  }

  /** @returns the instant vector or scalar of an expression, now */
  async query(expression: string): Promise<readonly Sample[]> {
    const answer = await this.#get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
    const { success, data, error } = Answer.safeParse(answer);
    if (!success)
      throw new Error(`Prometheus answered ${expression} with ${JSON.stringify(answer)}`, { cause: error });
    const { resultType, result } = data.data;
    if (resultType === 'scalar') return [{ labels: {}, value: result[1] }];
    return result.map(({ metric, value }) => ({ labels: metric, value: value[1] }));
  }

  /** @returns `alertname` and `state` (`pending`, `firing`) of the alerts that are not quiet */
  async alerts(): Promise<readonly { readonly name: string; readonly state: string }[]> {
    const samples = await this.query('ALERTS');
    return samples.map(({ labels }) => ({
      name: labels['alertname'] ?? '',
      state: labels['alertstate'] ?? '',
    }));
  }

  /** Any path of its HTTP API, parsed. */
  async #get(path: string): Promise<unknown> {
    const script = `const answer = await fetch(process.argv[1]); process.stdout.write(await answer.text());`;
    const url = `http://127.0.0.1:${this.#port}${path}`;
    const args = ['--input-type=module', '--eval', script, url];
    return JSON.parse(await this.#cluster.mustInside(process.execPath, args));
  }
}

/** Debian's Prometheus; it ends with the cluster. */
export async function startPrometheus(
  cluster: Cluster,
  { scrape, ruleFiles = [], scrapeIntervalMs = 1_000 }: PrometheusOptions,
): Promise<Prometheus> {
  const directory = join(cluster.directory, 'prometheus');
  await mkdir(directory, { recursive: true });
  const interval = `${scrapeIntervalMs}ms`;
  const config = {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    rule_files: ruleFiles,
    scrape_configs: scrape,
  };
  const configFile = join(directory, 'prometheus.yaml');
  await writeFile(configFile, JSON.stringify(config));
  const port = 9_090;
  const process = managedInside(cluster.enclosure, {
    name: 'prometheus',
    binary: 'prometheus',
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    ready: async () => cluster.enclosure.listensOn(port),
  });
  await process.start();
  return new Prometheus(cluster, process, port);
}
