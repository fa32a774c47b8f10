/**
 * A whole Kubernetes cluster of one node for a test: real API server, controllers, scheduler, kubelet, containers, service
 * network and DNS, in namespaces of its own, so that its addresses exist nowhere else and nothing outlives it.
 *
 *     await using cluster = await startCluster();
 *     await cluster.loadImage(archive);
 *     await cluster.apply([...objects]);
 *     await cluster.until('the pod runs', async () => (await cluster.kubectl([...])).code === 0);
 *
 * Its servers cannot be reached from the test process by an address: go through `kubectl`, `inside` or `spawn`.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { join } from 'node:path';
import { program, type ProgramName } from '../../programs/programs.ts';
import { until } from '../../support/until.ts';
import { type CommandAnswer, type CommandOptions, mustSucceed, runCommand } from './command.ts';
import type { Enclosure } from './enclosure.ts';
import type { ClusterFiles } from './files.ts';
import { bringUp, type Servers } from './servers.ts';

export interface WaitOptions {
  /** Default 60 s. */
  readonly deadlineMs?: number;
}

export class Cluster implements AsyncDisposable {
  /** The run folder: logs, certificates and configurations. It is removed at the end. */
  readonly directory: string;
  /** For programs inside. Its API server is `https://127.0.0.1:6443`. */
  readonly adminKubeconfig: string;
  /** The files that the servers were started with. */
  readonly files: ClusterFiles;
  /** `kill`, `stop`, `start`, `restart`, `freeze`, `thaw`, `log()` of each server. */
  readonly servers: Servers;
  /** Where everything runs; for grounds that add servers of their own. */
  readonly enclosure: Enclosure;
  #names = 0;

  constructor(enclosure: Enclosure, files: ClusterFiles, servers: Servers) {
    this.enclosure = enclosure;
    this.directory = enclosure.directory;
    this.files = files;
    this.adminKubeconfig = files.adminKubeconfig;
    this.servers = servers;
  }

  /** Runs kubectl as administrator, or with another kubeconfig. */
  kubectl(args: readonly string[], input?: string, options: CommandOptions = {}): Promise<CommandAnswer> {
    const given = input === undefined ? options : { ...options, input };
    return this.inside(this.files.programs.kubectl, args, given);
  }

  /**
   * As `kubectl`, where anything but success is a mistake of the test.
   * @returns what it printed on stdout
   */
  async mustKubectl(args: readonly string[], input?: string, options: CommandOptions = {}): Promise<string> {
    return mustSucceed(`kubectl ${args.join(' ')}`, await this.kubectl(args, input, options));
  }

  /** A kubectl that goes on until it is killed, such as `logs --follow` or `get --watch`. */
  spawnKubectl(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [command, line] = this.enclosure.outside(this.files.programs.kubectl, args);
    return spawn(command, line, { env: this.#environment({}), ...options });
  }

  /** Helm 4. Default deadline 5 minutes, because of `--wait`. */
  helm(args: readonly string[], options: CommandOptions = {}): Promise<CommandAnswer> {
    return this.#program('helm', args, { timeoutMs: 300_000, ...options });
  }

  async mustHelm(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return mustSucceed(`helm ${args.join(' ')}`, await this.helm(args, options));
  }

  /** Helm 3. */
  helm3(args: readonly string[], options: CommandOptions = {}): Promise<CommandAnswer> {
    return this.#program('helm3', args, { timeoutMs: 300_000, ...options });
  }

  async mustHelm3(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return mustSucceed(`helm3 ${args.join(' ')}`, await this.helm3(args, options));
  }

  /** Runs any program with the cluster's network, on the node's address, as administrator (KUBECONFIG). */
  inside(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandAnswer> {
    const [wrapper, line] = this.enclosure.outside(command, args);
    return runCommand(wrapper, line, { ...options, env: this.#environment(options) });
  }

  async mustInside(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return mustSucceed(`${command} ${args.join(' ')}`, await this.inside(command, args, options));
  }

  /**
   * Starts a program inside that goes on; it ends with the cluster at the latest. The child is `nsenter`, which waits for
   * the program: whatever signal ends the child, the program gets SIGTERM.
   */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.enclosure.spawn(command, args, { env: this.#environment({}), ...options });
  }

  /** Makes the image of an OCI archive known to the node; pods name it with `imagePullPolicy: Never` or `IfNotPresent`. */
  async loadImage(archive: string): Promise<void> {
    await this.mustInside('ctr', [
      ...['--address', this.files.containerdSocket, '--namespace', 'k8s.io'],
      ...['images', 'import', archive],
    ]);
  }

  /** Makes a namespace that no other test uses, under Pod Security `restricted`, in which pods can be made at once. */
  async namespace(prefix = 'test'): Promise<string> {
    const name = `${prefix}-${(this.#names += 1)}`;
    await this.makeNamespace(name);
    return name;
  }

  /** As `namespace`, with the whole name. */
  async makeNamespace(name: string): Promise<void> {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await this.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]);
    await this.untilObject('serviceaccount', 'default', name);
  }

  /** Applies objects as YAML-able values, on the server's side. */
  async apply(objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.mustKubectl(['apply', '--server-side', '-f', '-'], JSON.stringify(list));
  }

  /** All log lines of a pod (`NAME`), or of what `kubectl logs` takes in its place (`deploy/NAME`, `-l app=x`). */
  async podLogs(namespace: string, ...pod: readonly string[]): Promise<string> {
    return this.mustKubectl(['logs', '-n', namespace, '--tail=-1', ...pod]);
  }

  /**
   * Waits for a condition that no signal announces.
   * @returns the first value that is neither `false` nor `undefined`
   * @throws Error with `what`, and the cluster's events and pods, at the deadline
   */
  async until<T>(
    what: string,
    look: () => T | false | undefined | Promise<T | false | undefined>,
    { deadlineMs = 60_000 }: WaitOptions = {},
  ): Promise<T> {
    try {
      return await until(what, look, { deadlineMs });
    } catch (cause) {
      throw new Error(`${String(cause)}\n${await this.describe()}`, { cause });
    }
  }

  /** Waits until an object exists. */
  async untilObject(
    resource: string,
    name: string,
    namespace: string,
    options: WaitOptions = {},
  ): Promise<void> {
    await this.until(
      `${resource}/${name} exists in ${namespace}`,
      async () => (await this.kubectl(['get', resource, name, '-n', namespace])).code === 0,
      options,
    );
  }

  /** Waits until every pod of a Deployment or StatefulSet (`deploy/NAME`) is up to date and ready. */
  async untilRolledOut(
    namespace: string,
    workload: string,
    { deadlineMs = 120_000 }: WaitOptions = {},
  ): Promise<void> {
    const seconds = Math.ceil(deadlineMs / 1_000);
    const args = ['rollout', 'status', workload, '-n', namespace, `--timeout=${seconds}s`];
    const answer = await this.kubectl(args, undefined, { timeoutMs: deadlineMs + 10_000 });
    if (answer.code !== 0)
      throw new Error(`${workload} did not roll out: ${answer.stderr}\n${await this.describe()}`);
  }

  /** What a person would look at first when something did not come up. */
  async describe(): Promise<string> {
    const pods = await this.kubectl(['get', 'pods', '--all-namespaces', '-o', 'wide']);
    const events = await this.kubectl(['get', 'events', '--all-namespaces', '--sort-by=.lastTimestamp']);
    return [pods.stdout, pods.stderr, events.stdout.split('\n').slice(-25).join('\n')].join('\n').trim();
  }

  /** Ends everything inside at once, containers included, and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.enclosure[Symbol.asyncDispose]();
  }

  async #program(
    name: ProgramName,
    args: readonly string[],
    options: CommandOptions,
  ): Promise<CommandAnswer> {
    return this.inside(await program(name), args, options);
  }

  /** No setting of the person's own kubectl or Helm may reach the tests. */
  #environment({ env = {}, kubeconfig = this.adminKubeconfig }: CommandOptions): NodeJS.ProcessEnv {
    const home = join(this.directory, 'home');
    return { PATH: process.env['PATH'], HOME: home, KUBECONFIG: kubeconfig, ...env };
  }
}

/**
 * About fifteen seconds on two cores once its programs are built, which takes about fifteen minutes the first time.
 * Needs x86-64 Linux and root; Debian packages are installed where they are missing.
 * @throws Error with one sentence that says what to install, or with what the server printed that did not start
 */
export async function startCluster(): Promise<Cluster> {
  const { enclosure, files, servers, node } = await bringUp();
  const cluster = new Cluster(enclosure, files, servers);
  try {
    await node(cluster);
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}
