/** How the verbs of the plugin reach an object: read, patched, and waited for. */
import { connectKube } from '../../kube/connect.ts';
import { ScheduledTasksApi } from '../../kube/scheduled-tasks.ts';
import { parseScheduledTask, type ScheduledTask } from '../../resource/scheduled-task.ts';
import { TidemillError } from '../../runtime/errors.ts';
import type { Io } from '../io.ts';
import { type KubeSettings, kubeSource } from '../kube-settings.ts';

const ASK_EVERY_MS = 500;

export interface Objects {
  readonly namespace: string;
  /** @throws TidemillError SCHEDULE_UNKNOWN, MANIFEST_INVALID, KUBE_… */
  read(name: string): Promise<ScheduledTask>;
  /** A JSON merge patch. */
  patch(name: string, patch: object): Promise<void>;
  /** Reads again and again until `found` gives something; `undefined` when the time is over. */
  waitFor<T>(
    name: string,
    waitMs: number,
    found: (object: ScheduledTask) => T | undefined,
  ): Promise<T | undefined>;
}

export async function withObjects<T>(
  settings: KubeSettings & { readonly namespace?: string | undefined },
  io: Io,
  work: (objects: Objects) => Promise<T>,
): Promise<T> {
  await using connection = connectKube({ ...kubeSource(settings, io), clock: io.clock });
  const api = new ScheduledTasksApi(connection);
  const namespace = settings.namespace ?? connection.namespace;
  const read = async (name: string): Promise<ScheduledTask> => {
    const raw = await api.read({ namespace, name });
    if (raw === undefined) throw unknownObject(namespace, name);
    return parsed(raw, namespace, name);
  };
  return await work({
    namespace,
    read,
    patch: async (name, patch) => {
      if ((await api.patch({ namespace, name }, patch)) === undefined) throw unknownObject(namespace, name);
    },
    waitFor: async (name, waitMs, found) => {
      const endMs = io.clock.monotonic() + waitMs;
      for (;;) {
        const answer = found(await read(name));
        if (answer !== undefined || io.clock.monotonic() >= endMs) return answer;
        await io.clock.sleep(ASK_EVERY_MS);
      }
    },
  });
}

function unknownObject(namespace: string, name: string): TidemillError {
  return new TidemillError(
    'SCHEDULE_UNKNOWN',
    `there is no ScheduledTask ${JSON.stringify(name)} in namespace ${namespace}; \`kubectl get st -A\` lists all`,
  );
}

function parsed(raw: unknown, namespace: string, name: string): ScheduledTask {
  const found = parseScheduledTask(raw, 'ignore');
  if (found.kind === 'object') return found.object;
  const problems = found.problems.map(({ message }) => message).join('; ');
  throw new TidemillError('MANIFEST_INVALID', `${namespace}/${name} cannot be read: ${problems}`);
}
