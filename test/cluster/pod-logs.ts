/** Follows the logs of all pods of a namespace from their first line on, also those that come and go during a test. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Starts kubectl as administrator, with its standard output as a pipe. */
export type SpawnKubectl = (args: readonly string[]) => ChildProcess;

export interface PodLine {
  readonly pod: string;
  readonly text: string;
}

const FIELDS =
  '{.metadata.name}|{.metadata.uid}|{.status.containerStatuses[0].restartCount}|{.status.containerStatuses[0].state}';

export class PodLogs implements Disposable {
  readonly lines: PodLine[] = [];
  readonly #spawn: SpawnKubectl;
  readonly #namespace: string;
  readonly #children = new Set<ChildProcess>();
  /** One for each life of a container. */
  readonly #followed = new Set<string>();

  constructor(spawn: SpawnKubectl, namespace: string) {
    this.#spawn = spawn;
    this.#namespace = namespace;
    const args = ['get', 'pods', '-n', namespace, '--watch', '-o', `jsonpath=${FIELDS}{"\\n"}`];
    this.#read(args, (line) => this.#look(line));
  }

  /** Lines of log entries with this message. */
  with(message: string): readonly PodLine[] {
    return this.lines.filter(({ text }) => text.includes(`"msg":"${message}"`));
  }

  /** Sum of a number that entries with this message hold. */
  sum(message: string, field: string): number {
    const pattern = new RegExp(`"${field}":(\\d+)`);
    return this.with(message).reduce((sum, { text }) => sum + Number(pattern.exec(text)?.[1] ?? 0), 0);
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #look(line: string): void {
    const [pod = '', uid = '', restarts = '', state = ''] = line.split('|');
    const life = `${uid} ${restarts}`;
    if (this.#followed.has(life) || !/running|terminated/.test(state)) return;
    this.#followed.add(life);
    this.#read(['logs', '-f', '-n', this.#namespace, pod], (text) => this.lines.push({ pod, text }));
  }

  #read(args: readonly string[], onLine: (line: string) => void): void {
    const child = this.#spawn(args);
    this.#children.add(child);
    child.on('exit', () => this.#children.delete(child));
    if (child.stdout === null) throw new Error('kubectl must be started with its standard output as a pipe');
    createInterface({ input: child.stdout }).on('line', onLine);
  }
}
