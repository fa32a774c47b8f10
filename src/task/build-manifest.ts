/** Describes the tasks of this process for the queue, the controller and people: the content of its manifest. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { messageOf, TidemillError } from '../runtime/errors.ts';
import { BUILT_IN_TASKS } from './built-in-tasks.ts';
import type { TaskDescription, TaskManifest } from './manifest.ts';
import type { TaskRegistry } from './registry.ts';
import type { AnyTask } from './types.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The manifest of all tasks, the built-in ones included.
 * @param builtAtMs - when the tasks module was built, ms since the epoch
 * @throws TidemillError TASK_INVALID when a schema cannot be described
 */
export function buildManifest(registry: TaskRegistry, builtAtMs: number): TaskManifest {
  const tasks = [...registry.all(), ...BUILT_IN_TASKS].map(describeTask);
  return { hash: stableHash(tasks), builtAtMs, tasks };
}

/** @throws TidemillError TASK_INVALID when the schema of the params cannot be described */
export function describeTask(task: AnyTask): TaskDescription {
  const paramsSchema = task.params === undefined ? undefined : paramsJsonSchema(task.name, task.params);
  return {
    name: task.name,
    ...(task.description !== undefined && { description: task.description }),
    tags: [...task.tags],
    executor: task.executor,
    priority: task.priority,
    timeoutMs: task.timeoutMs,
    attempts: task.retry.attempts,
    ...(task.maxConcurrency !== undefined && { maxConcurrency: task.maxConcurrency }),
    ...(paramsSchema !== undefined && { paramsSchema }),
    schemaHash: stableHash(paramsSchema ?? null),
  };
}

/** What producers may send. Unknown keys are refused at the top level, as `decodeParams` does. */
function paramsJsonSchema(task: string, schema: z.ZodType): Record<string, unknown> {
  try {
    const described: JsonSchema = { ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) };
    const open =
      described['type'] === 'object' && 'properties' in described && !('additionalProperties' in described);
    // Through JSON, so that what is published is what was hashed: no prototypes, no undefined.
    return z
      .record(z.string(), z.unknown())
      .parse(JSON.parse(JSON.stringify({ ...described, ...(open && { additionalProperties: false }) })));
  } catch (error) {
    throw new TidemillError(
      'TASK_INVALID',
      `params of task "${task}" cannot be described as JSON Schema: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** The same for equal content, whatever the order of its keys. */
function stableHash(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content, sortKeys)).digest('hex').slice(0, 16);
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
