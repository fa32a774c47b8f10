/** What the proofs on a cluster share: both charts with the real images, and a way in to the Redis of the install. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { connectRedis } from '../../src/broker/redis/connect.ts';
import type { RedisBroker } from '../../src/broker/redis/redis-broker.ts';
import { Client } from '../../src/client/client.ts';
import { buildImage, type ImageArchive, imageArchive, ROOT } from '../images/images.ts';
import { type Cluster, startCluster } from './ground/cluster.ts';
import { Tunnel } from './tunnel.ts';

/** The release and namespace of the platform team. */
export const PLATFORM = 'tidemill';
export const CONTROLLER = `${PLATFORM}-controller`;
/** The namespace of an app team. */
export const TEAM = 'team-a';
export const QUEUES = { scheduled: 'default', manual: 'manual' } as const;
const REDIS_PORT = 6_379;
const WORKER_FOLDER = join(import.meta.dirname, 'images', 'worker');
const CHART = { platform: join(ROOT, 'helm', 'tidemill'), worker: join(ROOT, 'helm', 'tidemill-worker') };

export type Version = 'first' | 'next';
const TASKS: Readonly<Record<Version, string>> = { first: 'tasks.ts', next: 'tasks-next.ts' };

export interface Images {
  readonly tidemill: ImageArchive;
  readonly redis: ImageArchive;
  readonly worker: Readonly<Record<Version, ImageArchive>>;
}

/** Values as Helm takes them, nested. */
export type Values = Readonly<Record<string, unknown>>;

export class Installation implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly images: Images;
  readonly broker: RedisBroker;
  readonly client: Client;
  readonly #redis: Tunnel;

  private constructor(cluster: Cluster, images: Images, redis: Tunnel, broker: RedisBroker) {
    this.cluster = cluster;
    this.images = images;
    this.#redis = redis;
    this.broker = broker;
    this.client = new Client(broker);
  }

  /** A cluster with the platform's chart, both namespaces under Pod Security `restricted`. */
  static async start(values: Values = {}): Promise<Installation> {
    const images = await proofImages();
    const cluster = await startCluster();
    try {
      for (const { archive } of [images.tidemill, images.redis, ...Object.values(images.worker)])
        await cluster.loadImage(archive);
      for (const name of [PLATFORM, TEAM]) await cluster.makeNamespace(name);
      const all = { ...platformValues(images), ...values };
      await install(cluster, { release: PLATFORM, chart: CHART.platform, namespace: PLATFORM, values: all });
      const address = ['-o', 'jsonpath={.spec.clusterIP}'];
      const host = await cluster.mustKubectl(['get', 'svc', `${PLATFORM}-redis`, '-n', PLATFORM, ...address]);
      const spawnInside = (command: string, args: readonly string[]) => {
        const [wrapper, line] = cluster.enclosure.outside(command, args);
        return spawn(wrapper, line, { stdio: ['pipe', 'pipe', 'inherit'] });
      };
      const tunnel = await Tunnel.open(spawnInside, { host, port: REDIS_PORT });
      const broker = await connectRedis({ url: `redis://127.0.0.1:${tunnel.port}` });
      return new Installation(cluster, images, tunnel, broker);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Upgrades the platform's release. */
  async upgradePlatform(values: Values): Promise<void> {
    const all = { ...platformValues(this.images), ...values };
    await install(this.cluster, {
      ...{ release: PLATFORM, chart: CHART.platform, namespace: PLATFORM, values: all },
    });
  }

  /** Installs or upgrades a pool of consumers of the team, and waits until its pods are ready. */
  async pool(release: string, version: Version, values: Values = {}): Promise<void> {
    const all = {
      image: imageValues(this.images.worker[version]),
      tasks: TASKS[version],
      queues: Object.values(QUEUES),
      redis: { url: `redis://${PLATFORM}-redis.${PLATFORM}.svc:${REDIS_PORT}` },
      resources: { requests: { cpu: '20m', memory: '128Mi' }, limits: { memory: '512Mi' } },
      cpuConcurrency: 1,
      ...values,
    };
    await install(this.cluster, { release, chart: CHART.worker, namespace: TEAM, values: all });
  }

  /** Makes ScheduledTasks in the team's namespace, and returns their uids by name once all are ready. */
  async schedule(specs: Readonly<Record<string, object>>): Promise<ReadonlyMap<string, string>> {
    await this.cluster.apply(
      Object.entries(specs).map(([name, spec]) => ({
        apiVersion: 'tidemill.dev/v1alpha1',
        kind: 'ScheduledTask',
        metadata: { name, namespace: TEAM },
        spec,
      })),
    );
    const names = Object.keys(specs).map((name) => `st/${name}`);
    await this.cluster.mustKubectl(['wait', '-n', TEAM, '--for=condition=Ready', '--timeout=60s', ...names]);
    const columns = ['-o', 'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\\n"}{end}'];
    const listed = await this.cluster.mustKubectl(['get', 'st', '-n', TEAM, ...columns]);
    return new Map(listed.trim().split('\n').map(pairOf));
  }

  /** Names of the pods of a release in the team's namespace that are not on their way out. */
  async podsOf(release: string): Promise<readonly string[]> {
    const selector = ['-l', `app.kubernetes.io/instance=${release}`];
    const columns = [
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.deletionTimestamp}{"\\n"}{end}',
    ];
    const listed = await this.cluster.mustKubectl(['get', 'pods', '-n', TEAM, ...selector, ...columns]);
    return listed
      .split('\n')
      .map(pairOf)
      .filter(([name, deleted]) => name !== '' && deleted === '')
      .map(([name]) => name);
  }

  /** Names of the pods of the controller. */
  async controllers(): Promise<readonly string[]> {
    const selector = ['-l', 'app.kubernetes.io/component=controller'];
    const listed = await this.cluster.mustKubectl(['get', 'pods', '-n', PLATFORM, ...selector, '-o', 'name']);
    return listed
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace('pod/', ''));
  }

  /** The pod of the controller that works. */
  async leader(): Promise<string> {
    const holder = ['-o', 'jsonpath={.spec.holderIdentity}'];
    const identity = await this.cluster.mustKubectl(['get', 'lease', CONTROLLER, '-n', PLATFORM, ...holder]);
    const pods = await this.controllers();
    const pod = pods.find((name) => identity.startsWith(name));
    if (pod === undefined)
      throw new Error(`the Lease is held by ${identity}, which is none of ${pods.join(', ')}`);
    return pod;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker[Symbol.asyncDispose]();
    await this.#redis[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}

const pairOf = (line: string): readonly [string, string] => {
  const [first = '', second = ''] = line.split(' ');
  return [first, second];
};

async function proofImages(): Promise<Images> {
  const tidemill = await imageArchive('tidemill');
  const args = { TIDEMILL_IMAGE: tidemill };
  const context = WORKER_FOLDER;
  return {
    tidemill,
    redis: await buildImage({ name: 'localhost/redis:7', context: join(WORKER_FOLDER, '..', 'redis') }),
    worker: {
      first: await buildImage({ name: 'localhost/proof-worker:1', context, args }),
      next: await buildImage({
        name: 'localhost/proof-worker:2',
        context,
        dockerfile: 'next.Dockerfile',
        args,
      }),
    },
  };
}

function imageValues({ name }: ImageArchive): object {
  const colon = name.lastIndexOf(':');
  return { repository: name.slice(0, colon), tag: name.slice(colon + 1), pullPolicy: 'Never' };
}

function platformValues(images: Images): Values {
  const resources = { requests: { cpu: '20m', memory: '192Mi' }, limits: { memory: '512Mi' } };
  return {
    image: imageValues(images.tidemill),
    redis: { dev: { enabled: true, image: images.redis.name, imagePullPolicy: 'Never' } },
    queues: Object.fromEntries(Object.values(QUEUES).map((queue) => [queue, { namespaces: [TEAM] }])),
    controller: { resources },
  };
}

interface Release {
  readonly release: string;
  readonly chart: string;
  readonly namespace: string;
  readonly values: Values;
}

async function install(cluster: Cluster, { release, chart, namespace, values }: Release): Promise<void> {
  const args = [
    'upgrade',
    '--install',
    release,
    chart,
    '-n',
    namespace,
    '--wait',
    '--timeout',
    '4m',
    '-f',
    '-',
  ];
  const answer = await cluster.helm(args, { input: JSON.stringify(values) });
  if (answer.code !== 0)
    throw new Error(
      `helm ${args.join(' ')} ended with ${answer.code}: ${answer.stderr}\n${await cluster.describe()}`,
    );
}
