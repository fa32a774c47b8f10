/** Helm 4 and Helm 3 as processes, each with a home of its own, and our charts with their sets of values. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { program } from '../programs/programs.ts';
import { ROOT } from './markdown.ts';

export const CHARTS = ['tidemill', 'tidemill-worker'] as const;
export type Chart = (typeof CHARTS)[number];
export const chartFolder = (chart: Chart): string => join(ROOT, 'helm', chart);

/** Names of the value sets of a chart, and what Helm needs to read one. */
export const valueSets = (chart: Chart): readonly string[] =>
  readdirSync(join(chartFolder(chart), 'ci')).map((file) => file.replace(/-values\.yaml$/, ''));
export const valuesOf = (chart: Chart, set: string): readonly string[] => [
  '-f',
  join(chartFolder(chart), 'ci', `${set}-values.yaml`),
];

/** Every chart with every set of its values. */
export const SETS: readonly { readonly chart: Chart; readonly set: string }[] = CHARTS.flatMap((chart) =>
  valueSets(chart).map((set) => ({ chart, set })),
);

export interface HelmAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const KubeObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
});
export type KubeObject = z.output<typeof KubeObject>;

export function objectsIn(text: string): readonly KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    // A key that stands twice: the API server would take the last, or refuse it.
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value: unknown = document.toJSON();
    return value === null ? [] : [KubeObject.parse(value)];
  });
}

const DEADLINE_MS = 120_000;

export class Helm implements Disposable {
  readonly #binary: string;
  readonly #home = mkdtempSync(join(tmpdir(), 'tidemill-helm-'));
  readonly #kubeconfig: string | undefined;

  private constructor(binary: string, kubeconfig: string | undefined) {
    this.#binary = binary;
    this.#kubeconfig = kubeconfig;
  }

  static async open(name: 'helm' | 'helm3', kubeconfig?: string): Promise<Helm> {
    return new Helm(await program(name), kubeconfig);
  }

  run(args: readonly string[]): Promise<HelmAnswer> {
    const env = {
      PATH: process.env['PATH'],
      HOME: this.#home,
      ...(this.#kubeconfig !== undefined && { KUBECONFIG: this.#kubeconfig }),
    };
    const options = { env, timeout: DEADLINE_MS, maxBuffer: 64 * 1_024 ** 2 };
    return new Promise((resolve, reject) => {
      execFile(this.#binary, args, options, (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
        else
          reject(
            new Error(`helm ${args.join(' ')} did not end by itself: ${error.message}`, { cause: error }),
          );
      });
    });
  }

  /** As `run`, where anything but success is a mistake of the test. @returns what it printed on stdout */
  async must(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args);
    if (code !== 0) throw new Error(`helm ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  template(chart: Chart, args: readonly string[], namespace = 'mill'): Promise<string> {
    return this.must(['template', 'rel', chartFolder(chart), '-n', namespace, ...args]);
  }

  async objects(chart: Chart, args: readonly string[]): Promise<readonly KubeObject[]> {
    return objectsIn(await this.template(chart, args));
  }

  [Symbol.dispose](): void {
    rmSync(this.#home, { recursive: true, force: true });
  }
}
