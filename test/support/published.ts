/** Consumers as the schedule engine sees them: what they say that they can run. */
import { DEFAULT_QUEUE_SETTINGS } from '../../src/broker/broker.ts';
import type { TaskDescription } from '../../src/task/manifest.ts';
import type { World } from './schedule-world.ts';

const LEASE_MS = 3_600_000;

export function task(name: string, paramsSchema?: Record<string, unknown>): TaskDescription {
  return {
    ...{ name, tags: [], executor: 'io', priority: 'medium', timeoutMs: 60_000, attempts: 1 },
    schemaHash: JSON.stringify(paramsSchema ?? null),
    ...(paramsSchema !== undefined && { paramsSchema }),
  };
}

/** A consumer of the default queue says what it can run. */
export async function publish(world: World, tasks: readonly TaskDescription[]): Promise<void> {
  await world.broker.queue('default').work.register({
    incarnation: 'c1',
    leaseMs: LEASE_MS,
    manifest: { hash: JSON.stringify(tasks), builtAtMs: world.clock.now(), tasks: [...tasks] },
    settings: DEFAULT_QUEUE_SETTINGS,
    consumer: { host: 'test', pid: 1, version: '0' },
  });
}
