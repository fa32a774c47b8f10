/** Tells Prometheus which pods there are: Debian builds it without the discovery that asks the API server itself. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Cluster } from './cluster.ts';

const PodEvent = z.object({
  type: z.string(),
  object: z.object({
    metadata: z.object({ name: z.string() }),
    status: z.object({ podIP: z.string().optional() }),
    spec: z.object({
      containers: z.array(
        z.object({
          ports: z.array(z.object({ name: z.string().optional(), containerPort: z.number() })).optional(),
        }),
      ),
    }),
  }),
});

interface Target {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Scrapes every pod of a namespace with a container port of this name, with labels `namespace` and `pod`. */
export function podsOf(cluster: Cluster, namespace: string, portName = 'http'): object {
  const folder = join(cluster.directory, 'prometheus');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `pods-${namespace}-${portName}.json`);
  const targets = new Map<string, Target>();
  write(file, targets);
  const args = ['get', 'pods', '-n', namespace, '--watch', '--output-watch-events', '-o', 'json'];
  // A process of the inside, so that it ends with the cluster.
  const kubectl = cluster.spawn(cluster.files.programs.kubectl, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (kubectl.stdout === null) throw new Error('the watch of pods has no output');
  createInterface(kubectl.stdout).on('line', (line) => {
    // One line for each event: only single objects are printed with indentation.
    const { type, object } = PodEvent.parse(JSON.parse(line));
    const { name: pod } = object.metadata;
    const ports = object.spec.containers.flatMap((container) => container.ports ?? []);
    const port = ports.find(({ name }) => name === portName)?.containerPort;
    const address = object.status.podIP;
    if (type === 'DELETED' || address === undefined || port === undefined) targets.delete(pod);
    else targets.set(pod, { targets: [`${address}:${port}`], labels: { namespace, pod } });
    write(file, targets);
  });
  return {
    job_name: `pods-${namespace}-${portName}`,
    file_sd_configs: [{ files: [file], refresh_interval: '1s' }],
  };
}

/** Whole or not at all: Prometheus looks at any moment, and the run folder may be gone when the last event comes. */
function write(file: string, targets: ReadonlyMap<string, Target>): void {
  try {
    writeFileSync(`${file}.new`, JSON.stringify([...targets.values()]));
    renameSync(`${file}.new`, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
